"""Asking for more of a budget, and the one answer to it."""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Membership, User
from apps.billing.budgets import approvers
from apps.billing.errors import AlreadyDecidedError, InvalidAmountError, NotAllowedError
from apps.billing.models import Budget, BudgetIncrease, BudgetRequest


def concerning(user: User) -> QuerySet[Budget]:
    """Return the budgets in force that the person's own calls can count in."""
    departments = Membership.objects.filter(user=user).values("department_id")
    return Budget.objects.filter(
        Q(user__isnull=True) | Q(user=user),
        Q(department__isnull=True) | Q(department__in=departments),
        Q(api_key__isnull=True) | Q(api_key__owner=user),
        is_enabled=True,
    )


def ask(*, asker: User, budget_id: UUID, amount_nanos: int, reason: str) -> BudgetRequest:
    """Ask for more of a budget that concerns the asker; one request of theirs waits at a time.

    Raises:
        NotAllowedError: the budget does not concern them.
        InvalidAmountError: the amount is not above zero, no reason is given, or a request of theirs is waiting already.
    """
    budget = concerning(asker).filter(pk=budget_id).first()
    if budget is None:
        raise NotAllowedError(_("This budget is not one that your questions count in."))
    if amount_nanos <= 0:
        raise InvalidAmountError(_("Ask for an amount above zero."))
    if not reason.strip():
        raise InvalidAmountError(_("Say in a sentence what it is for."))
    try:
        with transaction.atomic():
            return BudgetRequest.objects.create(
                budget=budget, asker=asker, amount_nanos=amount_nanos, reason=reason.strip()
            )
    except IntegrityError as error:
        raise InvalidAmountError(
            _("You have asked for more of this budget already; the answer is still to come.")
        ) from error


def approve(
    *, request_id: UUID, by: User, amount_nanos: int, expires_at: datetime
) -> BudgetIncrease:
    """Give more of a budget until a moment, once; the amount may differ from what was asked.

    Raises:
        NotAllowedError: they may not decide on this budget, or there is no such request.
        AlreadyDecidedError: it was approved or declined before.
        InvalidAmountError: the amount is not above zero, or the moment has passed.
    """
    now = timezone.now()
    if amount_nanos <= 0:
        raise InvalidAmountError(_("Give an amount above zero, or decline."))
    if expires_at <= now:
        raise InvalidAmountError(_("Choose an end that is still to come."))
    with transaction.atomic():
        request = _decided(request_id, by, BudgetRequest.State.APPROVED)
        return BudgetIncrease.objects.create(
            budget_id=request.budget_id,
            amount_nanos=amount_nanos,
            starts_at=now,
            expires_at=expires_at,
            approved_by=by,
            request=request,
            reason=request.reason,
        )


def decline(*, request_id: UUID, by: User) -> None:
    """Answer a request with no, once.

    Raises:
        NotAllowedError, AlreadyDecidedError: as `approve` does.
    """
    with transaction.atomic():
        _decided(request_id, by, BudgetRequest.State.DECLINED)


def waiting_for(user: User) -> QuerySet[BudgetRequest]:
    """Return the requests that wait for this person's answer, oldest first: all of them for an operator."""
    waiting = BudgetRequest.objects.filter(state=BudgetRequest.State.WAITING)
    if not user.is_operator:
        waiting = waiting.filter(
            budget__in=Budget.objects.filter(approvers.decidable_by(user)).values("pk")
        )
    return waiting.select_related("budget", "asker").order_by("created_at")


def _decided(request_id: UUID, by: User, state: BudgetRequest.State) -> BudgetRequest:
    """Answer the request in the caller's transaction: the row's lock lets one answer through."""
    request = (
        BudgetRequest.objects.select_for_update(of=("self",))
        .select_related("budget__api_key")
        .filter(pk=request_id)
        .first()
    )
    if request is None or not approvers.may_decide(user=by, budget=request.budget):
        raise NotAllowedError(_("You may not decide on this budget."))
    if request.state != BudgetRequest.State.WAITING:
        raise AlreadyDecidedError(
            _("%(person)s has answered this request already.") % {"person": request.decided_by}
        )
    request.state, request.decided_by, request.decided_at = state, by, timezone.now()
    request.save(update_fields=("state", "decided_by", "decided_at"))
    return request
