"""Providers, models and routes."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from apps.billing import price_book
from apps.billing.models import Meter
from apps.core.money import format_nanos
from apps.llm.forms import ProviderForm
from apps.llm.models import LLMModel, Provider, Route
from apps.tuning.journalled import JournalledAdmin


@admin.register(Provider)
class ProviderAdmin(JournalledAdmin):
    """Endpoints; the key is entered here and never shown."""

    journal_key = "code"
    journal_secret_scope = ("base_url",)
    form = ProviderForm
    list_display = ("name", "code", "base_url", "is_enabled")
    list_filter = ("is_enabled",)
    search_fields = ("code", "name", "base_url")
    ordering = ("code",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Provider | None = None
    ) -> tuple[str, ...]:
        """Keep the code of an existing provider: prices and usage records name it."""
        return ("code",) if obj else ()


@admin.register(LLMModel)
class LLMModelAdmin(JournalledAdmin):
    """Models, with what they cost now."""

    list_display = ("name", "provider", "code", "kind", "context_tokens", "is_enabled")
    list_filter = ("kind", "provider", "is_enabled")
    list_select_related = ("provider",)
    search_fields = ("code", "name", "provider__name")
    ordering = ("provider__code", "code")
    autocomplete_fields = ("provider",)
    readonly_fields = ("current_prices",)
    fields = (
        "provider",
        "code",
        "name",
        "kind",
        "grounding",
        "context_tokens",
        "max_output_tokens",
        "dimensions",
        "is_enabled",
        "current_prices",
    )

    @admin.display(description=_("prices in force"))
    def current_prices(self, llm_model: LLMModel) -> Any:
        """Return the price rows of this moment, and the way to all of them."""
        if not llm_model.pk:
            return "–"
        names = {"provider_code": llm_model.provider.code, "model_code": llm_model.code}
        rows = format_html_join(
            "",
            "<li>{}: {}</li>",
            (
                (Meter(meter).label, format_nanos(nanos))
                for meter, nanos in price_book.in_force(**names)
            ),
        )
        return format_html(
            '<ul>{}</ul><a class="text-primary-600 dark:text-primary-500" href="{}?{}">{}</a>',
            rows or format_html("<li>{}</li>", _t("No price is set: its calls cost nothing.")),
            reverse("admin:billing_price_changelist"),
            urlencode({"provider_code": names["provider_code"], "q": names["model_code"]}),
            _t("Prices per million tokens"),
        )


@admin.register(Route)
class RouteAdmin(JournalledAdmin):
    """Which model serves what."""

    list_display = ("use", "priority", "llm_model", "is_enabled")
    list_filter = ("use", "is_enabled")
    list_select_related = ("llm_model",)
    search_fields = ("use", "llm_model__code", "llm_model__name")
    ordering = ("use", "priority")
    autocomplete_fields = ("llm_model",)
