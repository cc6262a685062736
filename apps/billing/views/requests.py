"""Asking for more of a budget, and the page where the one answer is given."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.accounts.requests import SignedInRequest
from apps.billing import access
from apps.billing.budgets import approvers, requests
from apps.billing.errors import AlreadyDecidedError, BillingError, NotAllowedError
from apps.billing.forms.requests import AskForm, DecideForm
from apps.billing.models import Budget, BudgetRequest
from apps.billing.pages.budget_cards import cards
from apps.billing.pages.requests import request_page
from apps.billing.views import base

APPROVE = "approve"
DECLINE = "decline"


@login_required
@require_http_methods(["GET", "POST"])
def ask(request: SignedInRequest, budget_id: UUID) -> HttpResponse:
    """Ask for more of a budget that concerns the person."""
    budgets = requests.concerning(request.user).filter(pk=budget_id)
    get_object_or_404(budgets)
    form = AskForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            requests.ask(
                asker=request.user,
                budget_id=budget_id,
                amount_nanos=form.cleaned_data["amount"],
                reason=form.cleaned_data["reason"],
            )
        except BillingError as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request, _("Asked. The answer comes by e-mail and shows up under the budget.")
            )
            return redirect("billing:usage")
    [card] = cards(budgets, asker=request.user, now=timezone.now())
    waiting = BudgetRequest.objects.filter(
        asker=request.user, budget=budget_id, state=BudgetRequest.State.WAITING
    )
    context = {"form": form, "budget": card, "is_waiting": waiting.exists()}
    return base.form_page(request, "billing/ask.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def answer(request: SignedInRequest, request_id: UUID) -> HttpResponse:
    """Show a request for more, and take its one answer."""
    found = get_object_or_404(
        access.visible_requests(request.user).select_related(
            "budget__department",
            "budget__user",
            "budget__api_key",
            "asker",
            "decided_by",
            "increase",
        ),
        pk=request_id,
    )
    sent = request.POST if request.method == "POST" else None
    now = timezone.now()
    page = request_page(found, user=request.user, now=now, sent=sent)
    if sent is not None:
        answered = _answered(request, found, page.form)
        if answered is not None:
            return answered
    # How far the budget has come is for who decides; the asker may have left its department.
    budgets = Budget.objects.filter(pk=found.budget_id) if page.form else Budget.objects.none()
    context = {"asked": page, "budget": next(iter(cards(budgets, now=now)), None)}
    return base.form_page(request, "billing/request.html", context)


def _answered(
    request: SignedInRequest, found: BudgetRequest, form: DecideForm | None
) -> HttpResponse | None:
    """Take the answer that was sent; None: what was typed cannot be taken, the form says why."""
    decision = request.POST.get("decision")
    if decision not in {APPROVE, DECLINE}:
        return None
    is_approval = decision == APPROVE
    if is_approval and form is not None and not form.is_valid():
        return None
    try:
        if not is_approval:
            requests.decline(request_id=found.pk, by=request.user)
        elif form is not None:
            requests.approve(
                request_id=found.pk,
                by=request.user,
                amount_nanos=form.cleaned_data["amount"],
                expires_at=form.expires_at(),
            )
        else:
            messages.warning(
                request, _("This request has its answer already, or is not yours to give.")
            )
            return redirect("billing:request", request_id=found.pk)
    except (AlreadyDecidedError, NotAllowedError) as error:
        messages.warning(request, str(error))
        return redirect("billing:request", request_id=found.pk)
    messages.success(request, _("Approved: it holds at once.") if is_approval else _("Declined."))
    return redirect(_where_from(request.user, found))


def _where_from(user: User, found: BudgetRequest) -> str:
    """Return the page the request waited on: the department's for its heads, else one's own."""
    payer = approvers.department_id(found.budget)
    department = access.headed_departments(user).filter(pk=payer).first() if payer else None
    if department is None:
        return reverse("billing:usage")
    return reverse("billing:department", args=[department.code])
