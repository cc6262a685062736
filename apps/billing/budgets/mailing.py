"""Telling by e-mail that more of a budget is asked for, and what the answer is, each once."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from apps.billing import notices
from apps.billing.budgets import approvers
from apps.billing.models import BudgetRequest


def send_waiting(at: datetime | None = None) -> int:
    """Write to whom a waiting request is for, and to whoever asked and has an answer; return how many messages went out.

    What fails is tried again at the next call, for three days. A process that dies between sending and noting it sends
    that message twice.
    """
    now = at or timezone.now()
    with notices.sender() as is_ours:
        return _send_asked(now) + _send_answered(now) if is_ours else 0


def _send_asked(now: datetime) -> int:
    # An answer that is there already makes the question no news.
    waiting = BudgetRequest.objects.filter(
        state=BudgetRequest.State.WAITING,
        asking_emailed_at=None,
        created_at__gt=now - notices.RETRIED_FOR,
    )
    sent = 0
    for request in _with_names(waiting.order_by("created_at")):
        people = [*approvers.approvers(request.budget)]
        if notices.send(
            template="billing/mail/budget_request.txt", context=_context(request), recipients=people
        ):
            BudgetRequest.objects.filter(pk=request.pk).update(asking_emailed_at=timezone.now())
            sent += 1
    return sent


def _send_answered(now: datetime) -> int:
    answered = BudgetRequest.objects.exclude(state=BudgetRequest.State.WAITING).filter(
        answer_emailed_at=None,
        decided_at__gt=now - notices.RETRIED_FOR,
        asker__is_active=True,
    )
    sent = 0
    for request in _with_names(answered.order_by("decided_at")):
        if notices.send(
            template="billing/mail/budget_answer.txt",
            context=_context(request),
            recipients=[request.asker],
        ):
            BudgetRequest.objects.filter(pk=request.pk).update(answer_emailed_at=timezone.now())
            sent += 1
    return sent


def _with_names(requests: QuerySet[BudgetRequest]) -> QuerySet[BudgetRequest]:
    return requests.select_related(
        "asker", "decided_by", "increase", "budget__department", "budget__user", "budget__api_key"
    )


def _context(request: BudgetRequest) -> dict[str, Any]:
    return {
        "asked": request,
        "is_approved": request.state == BudgetRequest.State.APPROVED,
        "increase": getattr(request, "increase", None),
        "link": notices.link("billing:request", request.pk),
    }
