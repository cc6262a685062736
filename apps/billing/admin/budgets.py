"""Budgets in the admin: their limits, how far they have come, what raised them, and who asks for more."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList

from apps.accounts.models import User
from apps.billing.admin.budget_page import budget_page
from apps.billing.admin.budget_rows import BudgetRow, drawn, rows_of
from apps.billing.budgets import requests
from apps.billing.calendar import zone
from apps.billing.errors import BillingError
from apps.billing.forms.budgets import AnswerForm, BudgetForm, IncreaseForm
from apps.billing.models import Budget, BudgetIncrease, BudgetPeriod, BudgetRequest
from apps.core.admin import ReadOnlyAdmin
from apps.core.money import format_nanos
from apps.tuning.forms import REASON
from apps.tuning.journalled import JournalledAdmin

SUBJECT = ("department", "user", "api_key", "period")
BUDGET_URL = "admin:billing_budget_change"
OF_A_BUDGET = ("budget__department", "budget__user", "budget__api_key")
SEARCH = ("department__name", "department__code", "user__email", "user__full_name", "api_key__name")
SEARCH_OF_A_BUDGET = tuple(f"budget__{name}" for name in SEARCH)
ADMIN_STYLE = {"all": ("billing/admin.css",)}


class BudgetList(ChangeList):  # type: ignore[misc]  # unfold ships no types
    """The list of budgets, with how far those of the page have come."""

    result_list: list[Any]

    def get_results(self, request: HttpRequest) -> None:
        """Read all bars of the page at once."""
        super().get_results(request)
        shown: list[Any] = list(self.result_list)
        of_page = Budget.objects.filter(pk__in=[budget.pk for budget in shown])
        rows = {row.state.budget_id: row for row in rows_of(of_page)}
        for budget in shown:
            budget.row = rows[budget.pk]
        self.result_list = shown


@admin.register(Budget)
class BudgetAdmin(JournalledAdmin):
    """Limits of departments, people, keys and everybody; whose and for how long stays as it was made."""

    form = BudgetForm
    fields = (
        *SUBJECT,
        "limit_nanos",
        "soft_limit_nanos",
        "at_limit",
        "is_raised_by_heads",
        "is_enabled",
    )
    empty_list_text = _("Until there is one, nothing limits the cost.")
    list_display = ("__str__", "use", "left", "refills", "at_limit", "is_enabled")
    list_filter = ("period", "is_enabled", "at_limit", "department")
    list_select_related = ("department", "user", "api_key")
    search_fields = SEARCH
    search_help_text = _("A department, a person or a key.")
    ordering = ("department__name", "user__email", "period")
    autocomplete_fields = ("department", "user")
    list_before_template = "admin/billing/_budgets_intro.html"
    change_form_outer_before_template = "admin/billing/_budget_now.html"
    change_form_outer_after_template = "admin/billing/_budget_past.html"

    class Media:
        css = ADMIN_STYLE

    def get_changelist(self, request: HttpRequest, **_options: Any) -> type[ChangeList]:
        return BudgetList

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep whose budget it is and its period: what was counted belongs to them."""
        return SUBJECT if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: what was counted stays. A budget that is no longer wanted is switched off."""
        return False

    def changelist_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """List the budgets, and say how many requests wait for an answer."""
        extra = {**(options.pop("extra_context", None) or {}), "zone": str(zone())}
        extra["waiting"] = list(requests.waiting_for(_viewer(request))[:20])
        return super().changelist_view(request, *args, extra_context=extra, **options)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        """Show below the form how the budget stands and has stood, its increases and who asks for more."""
        if budget := options.get("obj"):
            context["budget_page"] = budget_page(budget, now=timezone.now())
            context["zone"] = str(zone())
        return super().render_change_form(request, context, **options)

    @admin.display(description=_("used"))
    def use(self, budget: Any) -> SafeString:
        return drawn(budget.row)

    @admin.display(description=_("left"))
    def left(self, budget: Any) -> SafeString:
        return _in_one_line(format_nanos(budget.row.state.left_nanos))

    @admin.display(description=_("refills"))
    def refills(self, budget: Any) -> str | SafeString:
        row: BudgetRow = budget.row
        if row.state.refills_at is None:
            return _t("never")
        return _in_one_line(date_format(row.state.refills_at.astimezone(zone()), "j M, H:i"))


@admin.register(BudgetIncrease)
class BudgetIncreaseAdmin(JournalledAdmin):
    """More of a budget for a while. Once made, only its end can be moved: to end it now, or to let it last."""

    journal_no_rollback = _("An increase is never put back: move its end, or make another one.")
    form = IncreaseForm
    empty_list_text = _(
        "An increase raises a budget for a time: given by hand, or by the answer to a request."
    )
    list_display = ("budget", "amount", "starts_at", "expires_at", "approved_by", "reason")
    list_filter = ("expires_at",)
    list_select_related = (*OF_A_BUDGET, "approved_by")
    search_fields = (*SEARCH_OF_A_BUDGET, "reason")
    ordering = ("-expires_at",)
    fields = ("budget", "amount_nanos", "starts_at", "expires_at", "reason")
    autocomplete_fields = ("budget",)

    @admin.display(description=_("amount"), ordering="amount_nanos")
    def amount(self, increase: BudgetIncrease) -> str:
        return format_nanos(increase.amount_nanos)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the fields; the increase's own reason is the journal's, too."""
        fields = super().get_fields(request, obj)
        if obj is None:
            return [name for name in fields if name != REASON]
        return ["amount" if name == "amount_nanos" else name for name in fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("budget", "amount", "starts_at", "reason") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: it says why more was spent. Move its end instead."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        """Note who gave it, and why."""
        if not change:
            obj.approved_by = _viewer(request)
            form.cleaned_data[REASON] = obj.reason
        super().save_model(request, obj, form, change)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Go back to the budget that was raised."""
        return redirect(BUDGET_URL, obj.budget_id)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return redirect(BUDGET_URL, obj.budget_id)


@admin.register(BudgetRequest)
class BudgetRequestAdmin(ReadOnlyAdmin):
    """Who asks for more, and the one answer each request gets."""

    empty_list_text = _(
        "Whoever a budget stops can ask for more; what they ask waits here for an answer."
    )
    list_display = ("created_at", "asker", "budget", "amount", "reason", "state", "decided_by")
    list_filter = ("state",)
    list_select_related = (*OF_A_BUDGET, "asker", "decided_by")
    search_fields = ("asker__email", "asker__full_name", "reason", *SEARCH_OF_A_BUDGET)
    ordering = ("-created_at",)

    @admin.display(description=_("amount"), ordering="amount_nanos")
    def amount(self, asked: BudgetRequest) -> str:
        return format_nanos(asked.amount_nanos)

    def change_view(
        self, request: HttpRequest, object_id: str, *_args: Any, **_options: Any
    ) -> HttpResponse:
        """Show what is asked for and how the budget stands; take the answer."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = self._asked(object_id)
        now = timezone.now()
        form = AnswerForm(request.POST or None, amount_nanos=asked.amount_nanos, now=now)
        if request.method == "POST":
            said = self._answer(request, asked, form)
            if said:
                messages.success(request, said)
                return redirect(BUDGET_URL, asked.budget_id)
        context = {
            **self.admin_site.each_context(request),
            "title": _t("Request for more budget"),
            "asked": asked,
            "is_waiting": asked.state == BudgetRequest.State.WAITING,
            "row": rows_of(Budget.objects.filter(pk=asked.budget_id), at=now)[0],
            "form": form,
            "zone": str(zone()),
        }
        return TemplateResponse(request, "admin/billing/budget_request.html", context)

    def _asked(self, object_id: str) -> BudgetRequest:
        try:
            pk = UUID(object_id)
        except ValueError as error:
            raise Http404 from error
        found = (
            BudgetRequest.objects.select_related(*self.list_select_related).filter(pk=pk).first()
        )
        if found is None:
            raise Http404
        return found

    def _answer(self, request: HttpRequest, asked: BudgetRequest, form: AnswerForm) -> str:
        """Give the answer, and return what to say; empty: it can't be given like this, the form says why."""
        by = _viewer(request)
        try:
            if "decline" in request.POST:
                requests.decline(request_id=asked.pk, by=by)
                return _t("Declined. %(person)s sees it beside the budget.") % {
                    "person": asked.asker
                }
            if form.is_valid():
                increase = requests.approve(
                    request_id=asked.pk,
                    by=by,
                    amount_nanos=form.cleaned_data["amount_nanos"],
                    expires_at=form.expires_at(),
                )
                amount = format_nanos(increase.amount_nanos)
                return _t("Approved: %(amount)s more, at once.") % {"amount": amount}
        except BillingError as error:
            messages.error(request, str(error))
            asked.refresh_from_db()
        return ""


@admin.register(BudgetPeriod)
class BudgetPeriodAdmin(ReadOnlyAdmin):
    """What each budget's days and months came to."""

    list_display = ("budget", "starts_at", "ends_at", "spent", "held", "has_gaps")
    list_filter = ("budget__period", "budget__department")
    list_select_related = OF_A_BUDGET
    search_fields = SEARCH_OF_A_BUDGET
    search_help_text = _("A department, a person or a key.")
    ordering = ("-starts_at",)
    fields: ClassVar[tuple[str, ...]] = (
        "budget",
        "starts_at",
        "ends_at",
        "spent",
        "held",
        "has_gaps",
    )
    readonly_fields = ("spent", "held")

    @admin.display(description=_("spent"), ordering="spent_nanos")
    def spent(self, period: BudgetPeriod) -> str:
        return format_nanos(period.spent_nanos)

    @admin.display(description=_("held for open calls"), ordering="reserved_nanos")
    def held(self, period: BudgetPeriod) -> str:
        return format_nanos(period.reserved_nanos)


def _in_one_line(text: str) -> SafeString:
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - for the type: the admin has let them in
    return request.user
