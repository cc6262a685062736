"""The look of the admin and its sidebar, as unfold's settings; which pages there are is each app's `admin`."""

from typing import Any

from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# The teal of static/core/tokens.css, light to dark.
_TEAL = {
    "50": "oklch(97.5% .012 195)",
    "100": "oklch(93.5% .026 195)",
    "200": "oklch(88% .045 195)",
    "300": "oklch(82% .07 194)",
    "400": "oklch(75% .088 193)",
    "500": "oklch(62% .09 195)",
    "600": "oklch(45% .083 197)",
    "700": "oklch(38% .072 197)",
    "800": "oklch(32% .055 197)",
    "900": "oklch(27% .04 197)",
    "950": "oklch(20% .03 197)",
}


def _entry(title: Promise, icon: str, url_name: str) -> dict[str, Any]:
    """Return a line of the sidebar; the icon is a name of Material Symbols."""
    return {"title": title, "icon": icon, "link": reverse_lazy(url_name)}


_RUNNING_IT = [
    _entry(_("Health"), "monitor_heart", "admin-health"),
    _entry(_("Parameters"), "tune", "admin:tuning_parameters"),
    _entry(_("Journal"), "history", "admin:tuning_revision_changelist"),
    _entry(_("Caches"), "bolt", "admin:caching_cachepolicy_changelist"),
    _entry(_("Models"), "smart_toy", "admin:llm_llmmodel_changelist"),
    _entry(_("People"), "group", "admin:accounts_user_changelist"),
    _entry(_("API keys"), "key", "admin:accounts_apikey_changelist"),
]
_MONEY = [
    _entry(_("Costs"), "bar_chart", "admin:billing_usagerecord_totals"),
    _entry(_("Budgets"), "savings", "admin:billing_budget_changelist"),
    _entry(_("Anomalies"), "troubleshoot", "admin:billing_anomaly_changelist"),
    _entry(_("Months"), "calendar_month", "admin:billing_monthclose_changelist"),
    _entry(_("Prices"), "sell", "admin:billing_price_changelist"),
    _entry(_("Savings"), "trending_down", "admin:billing_saving_report"),
    _entry(_("Returns"), "percent", "admin:billing_roicase_changelist"),
    _entry(_("Cost tags"), "label", "admin:billing_costtag_changelist"),
    _entry(_("Ledger"), "menu_book", "admin:billing_ledgerentry_changelist"),
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Parley",
    "SITE_HEADER": "Parley",
    "SITE_SUBHEADER": _("Administration"),
    "SITE_URL": "/",
    "SITE_SYMBOL": "forum",
    "COLORS": {"primary": _TEAL},
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": True,
        "navigation": [
            {"title": _("Running it"), "items": _RUNNING_IT},
            {"title": _("Money"), "separator": True, "items": _MONEY},
        ],
    },
}
