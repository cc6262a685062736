"""What was saved, what an investment returned, and the tags of costs."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action
from unfold.views import UnfoldModelAdminViewMixin

from apps.billing import calendar, roi, savings, spans
from apps.billing.forms.savings import RoiCaseForm, SavingFilterForm
from apps.billing.models import CostTag, RoiCase, Saving
from apps.billing.pages.columns import ColumnChart, column_chart
from apps.billing.pages.savings import CSV_HEADER, csv_rows, saving_report
from apps.core.admin import ReadOnlyAdmin
from apps.core.csv import CONTENT_TYPE, rows_to_csv
from apps.core.money import format_nanos
from apps.tuning.journalled import JournalledAdmin

REPORT_URL = "admin:billing_saving_report"


class SavingReportView(UnfoldModelAdminViewMixin, TemplateView):  # type: ignore[misc]  # unfold ships no types
    """A month's savings by mechanism and department beside the year before it; `?month=2026-11&department=sales`."""

    title = _("Savings")
    permission_required = "billing.view_saving"
    template_name = "admin/billing/saving/report.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        context = self.get_context_data(**kwargs)
        if "csv" not in request.GET:
            shown: HttpResponse = self.render_to_response(context)
            return shown
        report = context["report"]
        response = HttpResponse(
            "".join(rows_to_csv(CSV_HEADER, csv_rows(report))), content_type=CONTENT_TYPE
        )
        name = f"savings-{report.span.month}.csv"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        now = timezone.now()
        try:
            span = spans.read_span(month=self.request.GET.get("month", ""), day="", now=now)
        except spans.SpanError:
            span = spans.month_span(now, now=now)
        form = SavingFilterForm(self.request.GET)
        department = form.cleaned_data.get("department") if form.is_valid() else None
        narrowed = f"&department={department.code}" if department else ""
        query = f"month={span.month}{narrowed}"
        before, after = spans.before(span, now=now), spans.after(span, now=now)
        return super().get_context_data(
            **kwargs,
            report=saving_report(span, department_id=department.pk if department else None),
            form=form,
            chosen_department=department,
            zone=calendar.zone(),
            csv_url=f"?{query}&csv=1",
            previous=(before.title, f"?month={before.month}{narrowed}"),
            next=(after.title, f"?month={after.month}{narrowed}") if after else None,
        )


@admin.register(Saving)
class SavingAdmin(ReadOnlyAdmin):
    """Savings one by one; the page above sums them."""

    actions_list = ("open_report",)
    empty_list_text = _(
        "Answers given from before and tokens read from a provider's cache appear here, each with what it saved."
    )
    list_display = ("at", "mechanism", "department", "user", "saved", "overhead", "time_saved")
    list_filter = (("created_at", RangeDateTimeFilter), "mechanism", "department")
    list_filter_submit = True
    list_select_related = ("department", "user")
    search_fields = ("=request_id", "user__email", "department__name")
    ordering = ("-created_at",)
    fields = (
        "created_at", "mechanism", "department", "user", "saved", "overhead", "time_saved", "request_id", "attempt",
        "whole_request",
    )  # fmt: skip

    @admin.display(description=_("at (UTC)"), ordering="created_at")
    def at(self, saving: Saving) -> SafeString:
        moment = date_format(saving.created_at, "Y-m-d H:i")
        return format_html('<span class="whitespace-nowrap">{}</span>', moment)

    @admin.display(description=_("time saved"), ordering="saved_ms")
    def time_saved(self, saving: Saving) -> str:
        return f"{saving.saved_ms:,} ms"

    @admin.display(description=_("the whole request"))
    def whole_request(self, saving: Saving) -> str:
        """Return what the request would have cost, as its calls and all its savings say."""
        sums = savings.identity(saving.request_id)
        said = _t(
            "%(baseline)s without any mechanism = %(actual)s for its calls + %(saved)s saved − %(overhead)s for saving it"
        )
        parts = ("baseline", "actual", "saved", "overhead")
        return said % {name: format_nanos(getattr(sums, f"{name}_nanos")) for name in parts}

    @admin.display(description=_("saved"), ordering="saved_nanos")
    def saved(self, saving: Saving) -> str:
        return format_nanos(saving.saved_nanos)

    @admin.display(description=_("cost of saving it"), ordering="overhead_nanos")
    def overhead(self, saving: Saving) -> str:
        return format_nanos(saving.overhead_nanos)

    @action(  # type: ignore[untyped-decorator]  # unfold ships no types
        description=_("Savings by month"), url_path="open-report", icon="savings"
    )
    def open_report(self, request: HttpRequest) -> HttpResponse:
        return redirect(REPORT_URL)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(SavingReportView.as_view(model_admin=self))
        own = path("report/", view, name="billing_saving_report")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]


@admin.register(RoiCase)
class RoiCaseAdmin(JournalledAdmin):
    """Returns on investments: the inputs are kept, the result is worked out each time it is shown."""

    form = RoiCaseForm
    empty_list_text = _(
        "Enter what an improvement took and what the months cost before and after it: you see when it has paid for itself, and what is left after a year."
    )
    list_display = ("name", "saving", "investment", "payback", "first_year")
    search_fields = ("name",)
    ordering = ("name",)
    change_form_outer_before_template = "admin/billing/roi/return.html"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Work out the rows that are shown, with one measurement for all."""
        changelist = super().get_changelist_instance(request)
        cases = list(changelist.result_list)
        needs = any(case.monthly_after_nanos is None for case in cases)
        measured = roi.last_full_month(timezone.now()) if needs else None
        for case in cases:
            case.result = roi.of_case(case, measured=measured)
        changelist.result_list = cases
        return changelist

    @admin.display(description=_("saves a month"))
    def saving(self, case: Any) -> str:
        return format_nanos(case.result.monthly_saving_nanos)

    @admin.display(description=_("investment"))
    def investment(self, case: Any) -> str:
        return format_nanos(case.result.investment_nanos)

    @admin.display(description=_("paid back after"))
    def payback(self, case: Any) -> str:
        return payback_text(case.result)

    @admin.display(description=_("first year, net"))
    def first_year(self, case: Any) -> str:
        return format_nanos(case.result.first_year_net_nanos)

    def response_add(self, request: HttpRequest, obj: RoiCase, *args: Any) -> HttpResponse:
        """Go on to the result."""
        onward: HttpResponse = super().response_add(request, obj, *args)
        if "_addanother" in request.POST:
            return onward
        return redirect("admin:billing_roicase_change", obj.pk)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        """Show the result of what is stored above its inputs."""
        case = options.get("obj")
        if case is not None:
            context |= _result_context(RoiCase.objects.get(pk=case.pk))
        response: HttpResponse = super().render_change_form(request, context, **options)
        return response


def _result_context(case: RoiCase) -> dict[str, Any]:
    measured = roi.last_full_month(timezone.now()) if case.monthly_after_nanos is None else None
    result = roi.of_case(case, measured=measured)
    months = roi.course(result)
    percent = result.first_year_percent
    return {
        "roi": result,
        "roi_case": case,
        "roi_measured": measured,
        "roi_payback": payback_text(result),
        "roi_percent": None if percent is None else roi.in_percent(percent),
        "roi_months": [
            (month, nanos, nanos + result.investment_nanos) for month, nanos in enumerate(months)
        ],
        "roi_chart": _course_chart(months),
        "roi_savings_url": reverse(REPORT_URL),
    }


def _course_chart(months: Any) -> ColumnChart:
    step = 1 if len(months) <= 16 else 6
    return column_chart(
        [
            (
                str(month) if month % step == 0 else "",
                _t("After %(count)d months: %(amount)s")
                % {"count": month, "amount": format_nanos(nanos)},
                [("won" if nanos > 0 else "open", nanos)] if nanos else [],
            )
            for month, nanos in enumerate(months)
        ]
    )


def payback_text(result: roi.Return) -> str:
    """Return after what time an investment is paid back, in words."""
    if result.payback_months is None:
        return _t("never")
    if result.payback_months == 0:
        return _t("at once")
    months = roi.in_months(result.payback_months)
    shown = f"{months:.0f}" if months == int(months) else f"{months}"
    return _t("%s months") % shown


@admin.register(CostTag)
class CostTagAdmin(JournalledAdmin):
    """The tags costs can carry, and who may set them; a tag that goes stays on the cost that has it."""

    empty_list_text = _(
        "With a tag, the cost of a project is told apart from all else its department spends."
    )
    list_display = ("code", "department", "set_by")
    list_filter = ("set_by", "department")
    list_select_related = ("department",)
    search_fields = ("code", "department__name")
    autocomplete_fields = ("department",)
    ordering = ("code", "department__name")
