"""Reservations, usage records and ledger entries to look at."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action

from apps.billing.admin.costs import UsageTotalsView
from apps.billing.models import Reservation, UsageRecord
from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos


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
