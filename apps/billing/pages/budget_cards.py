"""Budgets as the pages of cost show them: how far they have come in words and as a bar, and what was asked of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.billing.budgets.approvers import approver_names
from apps.billing.budgets.state import BudgetState, of_budgets
from apps.billing.calendar import zone
from apps.billing.models import Budget, BudgetIncrease, BudgetRequest
from apps.billing.pages.charts import BudgetBar, budget_bar
from apps.core.money import format_nanos

ANSWERS_SHOWN = timedelta(days=30)
BADGES = {
    BudgetRequest.State.WAITING: "badge--warn",
    BudgetRequest.State.APPROVED: "badge--good",
    BudgetRequest.State.DECLINED: "",
}


@dataclass(frozen=True, slots=True)
class RequestLine:
    """Where a request stands."""

    id: UUID
    state: str
    badge: str
    says: str


@dataclass(frozen=True, slots=True)
class BudgetCard:
    """One budget; addresses are empty where the reader may not go, amounts None where they are not theirs to know."""

    id: UUID
    name: str
    limit_nanos: int | None
    spent_nanos: int | None
    left: str
    bar: BudgetBar
    says: str
    soft_says: str
    refills: str
    is_full: bool
    increases: Sequence[str] = ()
    requests: Sequence[RequestLine] = ()
    approvers: str = ""
    ask_url: str = ""
    change_url: str = ""


def cards(
    budgets: QuerySet[Budget], *, asker: User | None = None, now: datetime, are_caps: bool = False
) -> list[BudgetCard]:
    """Return the cards of these budgets, the one with the least left first.

    `asker` is the person who may ask for more of them; their requests are shown, and of everybody's budget only how far
    it has come. `are_caps`: each can be changed.
    """
    states = sorted(of_budgets(budgets, at=now), key=lambda state: state.left_nanos)
    ids = [state.budget_id for state in states]
    increases = _increases(ids, now)
    requests = _requests(ids, asker, now) if asker else {}
    names = approver_names([*budgets.select_related("api_key")]) if asker else {}
    return [
        _card(
            state,
            is_share_only=asker is not None and state.is_everybodys,
            increases=increases.get(state.budget_id, ()),
            requests=requests.get(state.budget_id, ()),
            approvers=_(" or ").join(names.get(state.budget_id, ())),
            ask_url=reverse("billing:ask", args=[state.budget_id]) if asker else "",
            change_url=reverse("billing:cap", args=[state.budget_id]) if are_caps else "",
        )
        for state in states
    ]


def request_line(request: BudgetRequest) -> RequestLine:
    """Return where a request stands; its decider and increase are read with it."""
    return RequestLine(
        id=request.pk,
        state=str(request.get_state_display()),
        badge=BADGES[BudgetRequest.State(request.state)],
        says=_answer(request),
    )


def moment(at: datetime) -> str:
    """Return a moment in the billing time zone, as people write it."""
    return date_format(timezone.localtime(at, zone()), "j M Y, H:i")


def short_moment(at: datetime) -> str:
    """Return a moment whose year is clear, in the billing time zone."""
    return date_format(timezone.localtime(at, zone()), "j M, H:i")


def _card(
    state: BudgetState, *, is_share_only: bool, increases: Sequence[str], **rest: Any
) -> BudgetCard:
    def told(nanos: int) -> str:
        if is_share_only:
            return f"{nanos * 100 // state.limit_nanos if state.limit_nanos else 100} %"
        return format_nanos(nanos)

    return BudgetCard(
        id=state.budget_id,
        name=state.label,
        limit_nanos=None if is_share_only else state.limit_nanos,
        spent_nanos=None if is_share_only else state.spent_nanos,
        left=f"{state.left_percent} %" if is_share_only else format_nanos(state.left_nanos),
        bar=budget_bar(
            limit_nanos=state.limit_nanos,
            soft_limit_nanos=state.soft_limit_nanos,
            spent_nanos=state.spent_nanos,
            reserved_nanos=state.reserved_nanos,
        ),
        says=_said(state, told, is_share_only=is_share_only),
        soft_says=_soft(state, told),
        refills=_refills(state),
        is_full=state.left_nanos == 0,
        increases=() if is_share_only else increases,
        **rest,
    )


def _said(state: BudgetState, told: Callable[[int], str], *, is_share_only: bool) -> str:
    spent = told(state.spent_nanos)
    if not is_share_only:
        spent = _("%(spent)s of %(limit)s") % {"spent": spent, "limit": told(state.limit_nanos)}
    if state.reserved_nanos:
        return _("%(spent)s spent, and %(held)s held for questions being answered.") % {
            "spent": spent,
            "held": told(state.reserved_nanos),
        }
    return _("%(spent)s spent.") % {"spent": spent}


def _soft(state: BudgetState, told: Callable[[int], str]) -> str:
    if state.soft_limit_nanos is None:
        return ""
    consequence = {
        Budget.AtLimit.REFUSE: _("you are warned"),
        Budget.AtLimit.CHEAPER_MODEL: _("only the cheapest model answers"),
        Budget.AtLimit.CACHED_ONLY: _("only questions answered before are answered"),
    }[state.at_limit]
    words = {"soft": told(state.soft_limit_nanos), "consequence": consequence}
    if state.is_soft_reached:
        return _("Above %(soft)s, as now, %(consequence)s.") % words
    return _("From %(soft)s on %(consequence)s.") % words


def _refills(state: BudgetState) -> str:
    if state.refills_at is None:
        return _("Does not refill by itself")
    return _("Refills %(moment)s %(zone)s") % {"moment": moment(state.refills_at), "zone": zone()}


def _increases(ids: Iterable[UUID], now: datetime) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = defaultdict(list)
    running = BudgetIncrease.objects.filter(
        budget__in=ids, starts_at__lte=now, expires_at__gt=now
    ).order_by("expires_at")
    for increase in running:
        found[increase.budget_id].append(
            _("%(amount)s more until %(moment)s: %(reason)s")
            % {
                "amount": format_nanos(increase.amount_nanos),
                "moment": moment(increase.expires_at),
                "reason": increase.reason,
            }
        )
    return found


def _requests(ids: Iterable[UUID], asker: User, now: datetime) -> dict[UUID, list[RequestLine]]:
    """Return the person's requests that wait, and the last answer of late, by budget."""
    found: dict[UUID, list[RequestLine]] = defaultdict(list)
    recent = Q(state=BudgetRequest.State.WAITING) | Q(decided_at__gte=now - ANSWERS_SHOWN)
    requests = (
        BudgetRequest.objects.filter(recent, budget__in=ids, asker=asker)
        .select_related("decided_by", "increase")
        .order_by("-created_at")
    )
    for request in requests:
        if not found[request.budget_id]:
            found[request.budget_id].append(request_line(request))
    return found


def _answer(request: BudgetRequest) -> str:
    amount = format_nanos(request.amount_nanos)
    if request.state == BudgetRequest.State.WAITING:
        return _("%(amount)s more") % {"amount": amount}
    by = str(request.decided_by)
    if request.state == BudgetRequest.State.DECLINED:
        return _("%(amount)s more, by %(by)s") % {"amount": amount, "by": by}
    return _("%(amount)s more until %(moment)s, by %(by)s") % {
        "amount": format_nanos(request.increase.amount_nanos),
        "moment": moment(request.increase.expires_at),
        "by": by,
    }
