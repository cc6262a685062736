"""What the page of one request for more of a budget shows, and the form that answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from apps.accounts.models import User
from apps.billing.budgets.approvers import approver_names, may_decide
from apps.billing.forms.requests import DecideForm
from apps.billing.models import BudgetRequest
from apps.billing.pages.budget_cards import RequestLine, request_line


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One request; `form` is there for who may answer it while it waits."""

    id: UUID
    budget_name: str
    asker: str
    amount_nanos: int
    reason: str
    created_at: datetime
    line: RequestLine
    is_waiting: bool
    approvers: str
    form: DecideForm | None
    url: str


def request_page(
    request: BudgetRequest, *, user: User, now: datetime, sent: Mapping[str, str] | None = None
) -> RequestPage:
    """Return what this person sees of a request; `sent` is an answer they sent that could not be taken."""
    budget = request.budget
    is_waiting = request.state == BudgetRequest.State.WAITING
    form = None
    if is_waiting and may_decide(user=user, budget=budget):
        form = DecideForm(
            sent, now=now, initial={"amount": request.amount_nanos}, auto_id=_ids(request)
        )
    return RequestPage(
        id=request.pk,
        budget_name=str(budget),
        asker=str(request.asker),
        amount_nanos=request.amount_nanos,
        reason=request.reason,
        created_at=request.created_at,
        line=request_line(request),
        is_waiting=is_waiting,
        approvers=", ".join(approver_names([budget])[budget.pk]),
        form=form,
        url=reverse("billing:request", args=[request.pk]),
    )


def _ids(request: BudgetRequest) -> str:
    # Several of these forms are on one page, and a label names its field by id.
    return f"id_{request.pk}_%s"
