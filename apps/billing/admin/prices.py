"""The price book: rows are only added, each model's page shows all its meters side by side with their history."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView
from unfold.decorators import action, display
from unfold.views import UnfoldModelAdminViewMixin

from apps.billing import price_book
from apps.billing.forms.prices import PriceForm
from apps.billing.models import Price
from apps.core.money import format_nanos, in_units
from apps.tuning.journalled import JournalledAdmin

MODEL_URL = "admin:billing_price_model"
_NOW, _COMING, _OVER = "now", "coming", "over"


class StandingFilter(admin.SimpleListFilter):
    """Which rows count now, which are to come, and which a later one has taken over from."""

    title = _("in force")
    parameter_name = "standing"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, Any]]:
        return [(_NOW, _("Now")), (_COMING, _("From a moment to come")), (_OVER, _("No longer"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        if self.value() == _NOW:
            return queryset.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now), starts_at__lte=now)
        if self.value() == _COMING:
            return queryset.filter(starts_at__gt=now)
        if self.value() == _OVER:
            return queryset.filter(ends_at__lte=now)
        return queryset


class ModelPricesView(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]  # unfold ships no types
    """All prices of one model; `?provider=openai&model=gpt-4o-mini`, since the names of models hold slashes."""

    title = _("Prices of a model")
    permission_required = "billing.view_price"
    template_name = "admin/billing/price/model.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        provider_code = self.request.GET.get("provider", "").replace("\x00", "")
        model_code = self.request.GET.get("model", "").replace("\x00", "")
        prices = price_book.history(
            provider_code=provider_code, model_code=model_code, at=timezone.now()
        )
        if not prices.spans:
            raise Http404
        return super().get_context_data(
            **kwargs,
            provider_code=provider_code,
            model_code=model_code,
            prices=prices,
            add_url=_add_url(provider_code=provider_code, model_code=model_code),
        )


@admin.register(Price)
class PriceAdmin(JournalledAdmin):
    """Price rows: never changed, since calls were charged by them; a change of price is a new row with a later start."""

    journal_no_rollback = _(
        "A price is never put back: calls were charged by what came after it. Add a price with the amount you want, "
        "valid from now."
    )
    form = PriceForm
    list_display = ("model_page", "provider_code", "meter", "per_million", "validity", "source")
    list_display_links = ("meter",)
    list_filter = (StandingFilter, "meter", "source", "provider_code")
    search_fields = ("provider_code", "model_code")
    ordering = ("provider_code", "model_code", "meter", "-starts_at")
    readonly_fields = ("source",)
    fields = ("provider_code", "model_code", "meter", "per_million", "starts_at", "source")
    actions_detail = ("new_price",)
    actions_row = ("new_price",)

    # Rows are only added; one that is not in force yet may go.

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is None or obj.starts_at <= timezone.now():
            return False
        return super().has_delete_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Leave out of a new row's form what its saving decides."""
        fields = super().get_fields(request, obj)
        return fields if obj else [name for name in fields if name != "source"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        rows: QuerySet[Price] = super().get_queryset(request).with_ends()
        return rows

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(ModelPricesView.as_view(model_admin=self))
        own = path("model/", view, name="billing_price_model")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("New price from this one"), url_path="new-price", icon="add"
    )
    def new_price(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Open the form of a new row with this one's names and amount."""
        old = get_object_or_404(Price, pk=object_id)
        return redirect(
            _add_url(
                provider_code=old.provider_code,
                model_code=old.model_code,
                meter=old.meter,
                per_million=f"{in_units(old.nanos_per_million_tokens):f}",
            )
        )

    @admin.display(description=_("model"), ordering="model_code")
    def model_page(self, price: Price) -> SafeString:
        """Return the model's name, leading to the page of all its meters."""
        query = urlencode({"provider": price.provider_code, "model": price.model_code})
        return format_html(
            '<a class="text-primary-600 dark:text-primary-400" href="{}?{}">{}</a>',
            reverse(MODEL_URL),
            query,
            price.model_code,
        )

    @admin.display(description=_("per million"), ordering="nanos_per_million_tokens")
    def per_million(self, price: Price) -> str:
        return format_nanos(price.nanos_per_million_tokens)

    @display(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("valid (UTC)"),
        ordering="starts_at",
    )
    def validity(self, price: Any) -> SafeString:
        """Return from when to when the row counts, and whether that is now."""
        now = timezone.now()
        if price.starts_at > now:
            mark = _t("to come")
        elif price.ends_at is None or price.ends_at > now:
            mark = _t("in force")
        else:
            mark = _t("over")
        until = _moment(price.ends_at) if price.ends_at else _t("open")
        return format_html(
            '<span class="whitespace-nowrap">{} – {}</span> <strong>{}</strong>',
            _moment(price.starts_at),
            until,
            mark,
        )


def _add_url(**initial: str) -> str:
    return f"{reverse('admin:billing_price_add')}?{urlencode(initial)}"


def _moment(at: Any) -> str:
    return date_format(at, "Y-m-d H:i")
