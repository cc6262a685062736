"""What was spent, by department, model and purpose."""

from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView
from unfold.views import UnfoldModelAdminViewMixin

from apps.billing.cache import DASHBOARD
from apps.billing.calendar import month_of, next_month, previous_month
from apps.billing.forms import MonthForm
from apps.billing.reports import usage_report
from apps.caching import store


class UsageTotalsView(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]  # unfold ships no types
    """One month's totals by department, model and purpose; `?month=2026-11`."""

    title = _("Usage by month")
    permission_required = "billing.view_usagerecord"
    template_name = "admin/billing/usagerecord/totals.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        asked = MonthForm(self.request.GET).starts_at()
        starts_at, ends_at = month_of(asked or timezone.now())
        report = store.get_or_compute(
            DASHBOARD,
            (starts_at.isoformat(), ends_at.isoformat()),
            partial(usage_report, starts_at=starts_at, ends_at=ends_at),
        )
        is_past = ends_at <= timezone.now()
        return super().get_context_data(
            **kwargs,
            report=report,
            sections=(
                (_("Departments"), report.departments),
                (_("Models"), report.llm_models),
                (_("Purposes"), report.purposes),
            ),
            previous_month=previous_month(starts_at),
            next_month=next_month(starts_at) if is_past else None,
        )
