"""Closed months and those that can close, their statements, and the shared costs spread over departments."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from apps.billing.errors import BillingError
from apps.billing.forms.statements import CloseForm, SharedCostForm
from apps.billing.models import MonthClose, SharedCost, Statement
from apps.billing.statements import closing, report
from apps.billing.statements.drafting import month_code, month_title, months_to_close
from apps.billing.statements.focus_rows import focus_csv
from apps.billing.statements.pages import HEADER, csv_rows, statement_page
from apps.billing.statements.report import StatedMonth
from apps.core.admin import ReadOnlyAdmin
from apps.core.csv import CONTENT_TYPE, rows_to_csv
from apps.core.money import format_nanos
from apps.tuning.journalled import JournalledAdmin

MONTH_URL = "admin:billing_monthclose_month"
LIST_URL = "admin:billing_monthclose_changelist"


@admin.register(MonthClose)
class MonthCloseAdmin(ReadOnlyAdmin):
    """Closed months, and above them those that are over and open; a month's page shows it as it is or would be."""

    empty_list_text = _("No month is closed yet.")
    list_display = ("month", "statement_count", "total", "closed_at", "who")
    list_select_related = ("closed_by",)
    search_fields = ("closed_by__email", "statements__department_name")
    ordering = ("-starts_at",)
    list_before_template = "admin/billing/monthclose/_to_close.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[MonthClose]:
        rows: QuerySet[MonthClose] = super().get_queryset(request)
        return rows.annotate(
            statement_count=Count("statements"), total_nanos=Sum("statements__total_nanos")
        )

    @admin.display(description=_("month"), ordering="starts_at")
    def month(self, month: MonthClose) -> str:
        return month_title(month.starts_at)

    @admin.display(description=_("statements"))
    def statement_count(self, month: Any) -> int:
        count: int = month.statement_count
        return count

    @admin.display(description=_("total"))
    def total(self, month: Any) -> str:
        return format_nanos(month.total_nanos or 0)

    @admin.display(description=_("closed by"))
    def who(self, month: MonthClose) -> str:
        return str(month.closed_by or _t("the command line"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("month/", view(self.month_view), name="billing_monthclose_month"),
            path(
                "month/statements.csv",
                view(require_GET(self.csv_view)),
                name="billing_monthclose_csv",
            ),
            path(
                "month/focus.csv",
                view(require_GET(self.focus_view)),
                name="billing_monthclose_focus",
            ),
            path(
                "month/preview/",
                view(require_GET(self.preview_view)),
                name="billing_monthclose_preview",
            ),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """List closed months, and name those that could close."""
        waiting = [(month_code(one), month_title(one)) for one in months_to_close(timezone.now())]
        running = month_code(timezone.now())
        context = {**(extra_context or {}), "months_to_close": waiting, "running_month": running}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, *_args: Any, **_options: Any
    ) -> HttpResponse:
        """Go to the month's page."""
        month = get_object_or_404(MonthClose, pk=object_id)
        return redirect(f"{reverse(MONTH_URL)}?month={month_code(month.starts_at)}")

    def month_view(self, request: HttpRequest) -> HttpResponseBase:
        """Show a month with all its statements, and close it."""
        month = self._shown(request)
        form = CloseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            title = month_title(month.starts_at)
            try:
                closing.close_month(starts_at=month.starts_at, closed_by_id=request.user.pk)
            except closing.MonthNotClosableError as error:
                messages.error(request, _t("%s is still open.") % title)
                for obstacle in error.obstacles:
                    messages.error(request, obstacle)
            else:
                messages.success(request, _t("%s is closed.") % title)
            return redirect(f"{reverse(MONTH_URL)}?month={month_code(month.starts_at)}")
        return self._month_page(request, month, form)

    def csv_view(self, request: HttpRequest) -> HttpResponse:
        """Give all statements of a month as CSV."""
        month = self._month(request)
        text = "".join(rows_to_csv(HEADER, csv_rows(month.statements)))
        return _csv_file(f"statements {month_code(month.starts_at)}", text)

    def focus_view(self, request: HttpRequest) -> HttpResponse:
        """Give a month's charges as FOCUS rows."""
        month = self._month(request)
        text = "".join(focus_csv(month, is_detailed=False))
        return _csv_file(f"focus {month_code(month.starts_at)}", text)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Show what one department's statement would be."""
        code = request.GET.get("department", "")
        month = self._shown(request, department_code=code).of_department(code)
        if month.is_closed or not month.statements:
            raise Http404
        back = f"{reverse(MONTH_URL)}?month={month_code(month.starts_at)}"
        return _sheet(request, month.statements[0], back_url=back)

    def _month(self, request: HttpRequest) -> StatedMonth:
        """Return the month that is asked for, proved against the ledger."""
        now = timezone.now()
        return report.stated_month(starts_at=_asked(request, now), at=now)

    def _shown(self, request: HttpRequest, *, department_code: str | None = None) -> StatedMonth:
        """Return the month that is asked for, as its totals have it while it is open."""
        now = timezone.now()
        return report.shown_month(
            starts_at=_asked(request, now), at=now, department_code=department_code
        )

    def _month_page(
        self, request: HttpRequest, month: StatedMonth, form: CloseForm
    ) -> TemplateResponse:
        code = month_code(month.starts_at)
        closed = MonthClose.objects.filter(starts_at=month.starts_at).select_related("closed_by")
        context = {
            **self.admin_site.each_context(request),
            "title": month_title(month.starts_at),
            "opts": self.opts,
            "month": month,
            "month_code": code,
            "closed": closed.first(),
            "form": form,
            "sums": [
                sum(getattr(one, name) for one in month.statements)
                for name in ("usage_nanos", "adjustments_nanos", "shared_nanos")
            ],
        }
        return TemplateResponse(request, "admin/billing/monthclose/month.html", context)


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    """Frozen statements; each opens as the sheet that prints."""

    empty_list_text = _("Each department gets one when a month is closed.")
    list_display = ("department_name", "of_month", "usage", "adjusted", "shared_part", "total")
    list_filter = ("month", "department")
    list_select_related = ("month",)
    search_fields = ("department_name", "department_code", "=id")
    ordering = ("-month__starts_at", "department_name")

    @admin.display(description=_("month"), ordering="month__starts_at")
    def of_month(self, statement: Statement) -> str:
        return month_title(statement.month.starts_at)

    @admin.display(description=_("usage"), ordering="usage_nanos")
    def usage(self, statement: Statement) -> str:
        return format_nanos(statement.usage_nanos)

    @admin.display(description=_("adjustments"), ordering="adjustments_nanos")
    def adjusted(self, statement: Statement) -> str:
        return format_nanos(statement.adjustments_nanos)

    @admin.display(description=_("shared costs"), ordering="shared_nanos")
    def shared_part(self, statement: Statement) -> str:
        return format_nanos(statement.shared_nanos)

    @admin.display(description=_("total"), ordering="total_nanos")
    def total(self, statement: Statement) -> str:
        return format_nanos(statement.total_nanos)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(self.csv_view))
        own = path("<uuid:object_id>/statement.csv", view, name="billing_statement_csv")
        urls: list[URLPattern] = super().get_urls()
        return [own, *urls]

    def change_view(
        self, request: HttpRequest, object_id: str, *_args: Any, **_options: Any
    ) -> HttpResponse:
        """Show the statement as it prints."""
        statement = self.get_object(request, object_id)
        if statement is None:
            raise Http404
        return _sheet(
            request,
            statement,
            back_url=f"{reverse(MONTH_URL)}?month={month_code(statement.month.starts_at)}",
            csv_url=reverse("admin:billing_statement_csv", args=[statement.pk]),
        )

    def csv_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        """Give a statement as CSV."""
        statement = get_object_or_404(Statement.objects.select_related("month"), pk=object_id)
        text = "".join(rows_to_csv(HEADER, csv_rows([statement])))
        name = f"{statement.department_code} {month_code(statement.month.starts_at)}"
        return _csv_file(name, text)


@admin.register(SharedCost)
class SharedCostAdmin(JournalledAdmin):
    """Shared costs: a change counts in the months that are open; closed ones keep what their statements say."""

    form = SharedCostForm
    empty_list_text = _(
        "A subscription or a server that several departments use: it is spread over them by a rule when a month closes."
    )
    list_display = ("name", "what", "method", "starts_on", "ends_on")
    list_filter = ("method",)
    list_select_related = ("source_department",)
    search_fields = ("name", "source_department__name")
    ordering = ("name",)
    autocomplete_fields = ("source_department",)

    @admin.display(description=_("what is spread"))
    def what(self, cost: SharedCost) -> str:
        if cost.source_department:
            return _t("the cost of %s") % cost.source_department
        return format_nanos(cost.amount_nanos or 0)


def _asked(request: HttpRequest, now: datetime) -> datetime:
    """Return where the month begins that is asked for; one that has not begun is not found."""
    try:
        return report.month_named(request.GET.get("month", ""), at=now)
    except BillingError as error:
        raise Http404 from error


def _sheet(
    request: HttpRequest, statement: Statement, *, back_url: str, csv_url: str = ""
) -> TemplateResponse:
    context = {"statement": statement_page(statement), "back_url": back_url, "csv_url": csv_url}
    return TemplateResponse(request, "billing/statements/statement.html", context)


def _csv_file(name: str, text: str) -> HttpResponse:
    disposition = content_disposition_header(as_attachment=True, filename=f"{name}.csv")
    return HttpResponse(
        text, content_type=CONTENT_TYPE, headers={"Content-Disposition": str(disposition)}
    )
