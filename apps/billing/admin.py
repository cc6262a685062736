"""Prices to edit; reservations and usage records to look at; the totals page."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action
from unfold.views import UnfoldModelAdminViewMixin

from apps.billing.cache import DASHBOARD
from apps.billing.forms import MonthForm, PriceForm
from apps.billing.models import Price, Reservation, UsageRecord
from apps.billing.reports import month_of, next_month, previous_month, usage_report
from apps.caching import store
from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos
from apps.tuning.journalled import JournalledAdmin


@admin.register(Price)
class PriceAdmin(JournalledAdmin):
    """Price rows: a change of price is a new row with a later start."""

    journal_no_rollback = _(
        "A price is never put back: calls were charged by what came after it. Add a price with the amount you want, "
        "valid from now."
    )
    form = PriceForm
    list_display = ("provider_code", "model_code", "meter", "per_million", "starts_at", "source")
    list_filter = ("meter", "source", "provider_code")
    search_fields = ("provider_code", "model_code")
    ordering = ("provider_code", "model_code", "meter", "-starts_at")
    readonly_fields = ("source",)
    fields = ("provider_code", "model_code", "meter", "per_million", "starts_at", "source")

    @admin.display(description=_("per million tokens"), ordering="nanos_per_million_tokens")
    def per_million(self, price: Price) -> str:
        return format_nanos(price.nanos_per_million_tokens)


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    """Opened calls; those still open long after are settled at an estimate."""

    list_display = (
        "created_at",
        "department",
        "purpose",
        "provider_code",
        "model_code",
        "most",
        "state",
    )
    list_filter = ("state", "purpose", "department")
    list_select_related = ("department",)
    search_fields = ("request_id", "provider_code", "model_code")
    ordering = ("-created_at",)

    @admin.display(description=_("most it can cost"), ordering="max_nanos")
    def most(self, reservation: Reservation) -> str:
        return format_nanos(reservation.max_nanos)


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


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """What each call used and cost."""

    actions_list = ("open_totals",)
    list_display = (
        "created_at",
        "department",
        "user",
        "purpose",
        "model_code",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "amount",
        "outcome",
    )
    list_filter = (
        ("created_at", RangeDateTimeFilter),
        "department",
        "purpose",
        "outcome",
        "is_estimated",
        "model_code",
    )
    list_filter_submit = True
    list_select_related = ("department", "user")
    search_fields = ("request_id", "user__email", "model_code")
    ordering = ("-created_at",)

    @admin.display(description=_("amount"), ordering="amount_nanos")
    def amount(self, record: UsageRecord) -> str:
        return format_nanos(record.amount_nanos)

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("Usage by month"), url_path="open-totals", icon="bar_chart"
    )
    def open_totals(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:billing_usagerecord_totals")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(UsageTotalsView.as_view(model_admin=self))
        own = path("totals/", view, name="billing_usagerecord_totals")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]
