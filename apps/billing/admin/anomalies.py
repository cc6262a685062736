"""Unexpected cost, and the alerts that were sent."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.accounts.models import User
from apps.billing.admin.anomaly_page import anomaly_page
from apps.billing.anomalies import service
from apps.billing.calendar import zone
from apps.billing.models import Anomaly, BudgetAlert
from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos
from apps.tuning import live

ANOMALY_URL = "admin:billing_anomaly_change"
OF_A_BUDGET = tuple(f"budget_period__budget__{name}" for name in ("department", "user", "api_key"))


class SeenFilter(admin.SimpleListFilter):
    """Whether somebody has seen to it."""

    title = _("seen to")
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", _t("not yet")), ("yes", _t("seen to"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in {"no", "yes"}:
            return queryset.filter(acknowledged_at__isnull=self.value() == "no")
        return queryset


@admin.register(Anomaly)
class AnomalyAdmin(ReadOnlyAdmin):
    """Cost that was not expected: each with its hours, what it consists of, and who has seen to it."""

    empty_list_text = _("No cost has stood out so far.")
    list_display = ("begins", "department", "what", "expected", "actual", "seen")
    list_filter = (SeenFilter, "kind", "department")
    list_select_related = ("department", "acknowledged_by")
    search_fields = ("department__name", "department__code", "detail")
    search_help_text = _("A department, a model or a person.")
    ordering = ("-starts_at",)
    list_before_template = "admin/billing/anomaly/_intro.html"

    class Media:
        css = {"all": ("billing/admin.css",)}

    @admin.display(description=_("from"), ordering="starts_at")
    def begins(self, anomaly: Anomaly) -> str:
        return date_format(anomaly.starts_at.astimezone(zone()), "j M Y, H:i")

    @admin.display(description=_("what"), ordering="kind")
    def what(self, anomaly: Anomaly) -> str:
        kind = str(anomaly.get_kind_display())
        return f"{kind}: {anomaly.detail}" if anomaly.detail else kind

    @admin.display(description=_("expected"), ordering="expected_nanos")
    def expected(self, anomaly: Anomaly) -> str:
        return _in_one_line(anomaly.expected_nanos)

    @admin.display(description=_("actual"), ordering="actual_nanos")
    def actual(self, anomaly: Anomaly) -> str:
        return _in_one_line(anomaly.actual_nanos)

    @admin.display(description=_("seen to"), ordering="acknowledged_at")
    def seen(self, anomaly: Anomaly) -> str:
        return str(anomaly.acknowledged_by) if anomaly.acknowledged_by else _t("not yet")

    def get_urls(self) -> list[URLPattern]:
        seen = self.admin_site.admin_view(require_POST(self.seen_view))
        urls: list[URLPattern] = super().get_urls()
        return [path("<uuid:anomaly_id>/seen/", seen, name="billing_anomaly_seen"), *urls]

    def changelist_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """List them, and say how many alarms a week are asked for."""
        extra = {**(options.pop("extra_context", None) or {})}
        extra["alarms_per_week"] = live.number("billing.anomaly_alarms_per_week")
        extra["waiting"] = Anomaly.objects.filter(acknowledged_at__isnull=True).count()
        response: HttpResponse = super().changelist_view(
            request, *args, extra_context=extra, **options
        )
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, *_args: Any, **_options: Any
    ) -> HttpResponse:
        """Show the hours around it, what it consists of, and who has seen to it."""
        anomaly = self.get_object(request, object_id)
        if not self.has_view_permission(request, anomaly):
            raise PermissionDenied
        if anomaly is None:
            response: HttpResponse = self._get_obj_does_not_exist_redirect(
                request, self.opts, object_id
            )
            return response
        context = {
            **self.admin_site.each_context(request),
            "title": str(anomaly.get_kind_display()),
            "opts": self.opts,
            "page": anomaly_page(anomaly),
            "zone": str(zone()),
            "alarms_per_week": live.number("billing.anomaly_alarms_per_week"),
        }
        return TemplateResponse(request, "admin/billing/anomaly/page.html", context)

    def seen_view(self, request: HttpRequest, anomaly_id: Any) -> HttpResponse:
        """Note that the operator has seen to it."""
        anomaly = get_object_or_404(Anomaly, pk=anomaly_id)
        if not self.has_view_permission(request, anomaly) or not isinstance(request.user, User):
            raise PermissionDenied
        if service.acknowledge(anomaly_id=anomaly.pk, by=request.user):
            messages.success(request, _t("Noted: you have seen to it."))
        else:
            messages.info(request, _t("Somebody had seen to it already."))
        return redirect(ANOMALY_URL, anomaly.pk)


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin):
    """What people were told of budgets, and when."""

    empty_list_text = _(
        "People are told when a budget comes to half, to 80 % and to all of it; each of these appears here."
    )
    list_display = ("created_at", "budget", "kind", "at", "spent", "limit", "emailed_at")
    list_filter = ("kind", ("budget_period__budget__department", admin.RelatedOnlyFieldListFilter))
    list_select_related = OF_A_BUDGET
    search_fields = tuple(
        f"budget_period__budget__{name}"
        for name in ("department__name", "user__email", "user__full_name", "api_key__name")
    )
    ordering = ("-created_at",)

    @admin.display(description=_("budget"))
    def budget(self, alert: BudgetAlert) -> str:
        return str(alert.budget_period.budget)

    @admin.display(description=_("at"), ordering="percent")
    def at(self, alert: BudgetAlert) -> str:
        if alert.forecast_nanos is not None:
            return _t("forecast %s") % format_nanos(alert.forecast_nanos)
        return f"{alert.percent} %" if alert.percent else "–"

    @admin.display(description=_("spent then"), ordering="spent_nanos")
    def spent(self, alert: BudgetAlert) -> str:
        return _in_one_line(alert.spent_nanos)

    @admin.display(description=_("limit then"), ordering="limit_nanos")
    def limit(self, alert: BudgetAlert) -> str:
        return _in_one_line(alert.limit_nanos)


def _in_one_line(nanos: int) -> str:
    return format_nanos(nanos).replace(" ", "\u00a0")
