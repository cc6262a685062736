"""Telling people how far a budget has come, each threshold once a period: what is raised, and who is written to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.billing import forecast, notices
from apps.billing.budgets import requests
from apps.billing.budgets.state import BudgetState, of_budgets
from apps.billing.forecast import Forecast
from apps.billing.models import Budget, BudgetAlert, LedgerEntry, Reservation
from apps.tuning import live

Kind = BudgetAlert.Kind

# An excess is posted when its call is settled, half an hour after it was opened at the latest.
EXCESS_LOOK = timedelta(days=2)
# Enough newest calls to say what a usual one holds.
RECENT_CALLS = 1000


def thresholds() -> list[int]:
    """Return the percents of a limit at which people are told, lowest first."""
    names = ("first", "second", "last")
    return sorted({live.integer(f"billing.alert_{name}_percent") for name in names})


def raise_due(at: datetime | None = None) -> int:
    """Raise every alert of spent shares and excesses that is due and was not raised yet, then send what waits.

    Returns how many were raised. Runs beside itself without raising or sending twice.
    """
    now = at or timezone.now()
    states = [
        state
        for state in of_budgets(Budget.objects.filter(is_enabled=True), at=now)
        if state.period_id is not None and state.spent_nanos > 0
    ]
    raised = _raise([*_spent(states), *_excesses(states, now)])
    send_waiting(at=now)
    return raised


def raise_overruns(at: datetime | None = None) -> int:
    """Raise the forecast that a department's or everybody's month will pass its limit, then send what waits."""
    now = at or timezone.now()
    budgets = Budget.objects.filter(
        is_enabled=True, period=Budget.Period.MONTH, user=None, api_key=None
    )
    departments = dict(budgets.values_list("pk", "department_id"))
    likely = live.number("billing.alert_overrun_probability")
    alerts = []
    for state in of_budgets(budgets, at=now):
        if state.period_id is None or state.spent_nanos >= state.limit_nanos:
            continue
        foreseen = forecast.month_end(department_id=departments[state.budget_id], at=at)
        if _will_overrun(foreseen, state.limit_nanos, likely):
            alerts.append(_alert(state, Kind.FORECAST, forecast_nanos=foreseen.p50_nanos))
    raised = _raise(alerts)
    send_waiting(at=now)
    return raised


def current_for(user: User) -> list[BudgetAlert]:
    """Return what is to be told the person now: alerts of running periods of the budgets their calls count in.

    Of each budget the highest share reached; nothing that an increase has made untrue since. Excesses are for heads and
    operators, and are not among them. Newest first.
    """
    now = timezone.now()
    states = {state.period_id: state for state in of_budgets(requests.concerning(user), at=now)}
    alerts = (
        BudgetAlert.objects.filter(budget_period__in=[one for one in states if one is not None])
        .exclude(kind=Kind.EXCESS)
        .select_related("budget_period__budget__department", "budget_period__budget__user")
        .select_related("budget_period__budget__api_key")
        .order_by("-percent", "-created_at")
    )
    highest: dict[tuple[int, str], BudgetAlert] = {}
    for alert in alerts:
        if _is_true(alert, states[alert.budget_period_id]):
            highest.setdefault((alert.budget_period_id, alert.kind), alert)
    return sorted(highest.values(), key=lambda alert: alert.created_at, reverse=True)


def send_waiting(at: datetime | None = None) -> int:
    """Send one message for each period with alerts nobody was written about; return how many messages went out.

    What fails stays waiting, and is tried again at the next call, for three days. A process that dies between sending
    and noting it sends that message twice.
    """
    now = at or timezone.now()
    sent = 0
    with notices.sender() as is_ours:
        for alerts in _waiting(now) if is_ours else ():
            if _send(alerts):
                ids = [alert.pk for alert in alerts]
                BudgetAlert.objects.filter(pk__in=ids).update(emailed_at=timezone.now())
                sent += 1
    return sent


def recipients(alert: BudgetAlert) -> list[User]:
    """Return who is written to: whom the budget is for, heads of its department; operators where there is nobody."""
    budget = alert.budget_period.budget
    is_last = alert.kind != Kind.SPENT or alert.percent >= max(thresholds())
    people: list[User] = []
    if budget.api_key:
        people = [budget.api_key.owner, *notices.heads([budget.api_key.department_id])]
    elif budget.user:
        people = [budget.user, *(notices.heads(_departments(budget)) if is_last else ())]
    elif budget.department_id:
        people = [*notices.heads([budget.department_id])]
    if alert.kind == Kind.EXCESS:
        people += notices.operators()
    return [person for person in people if person.is_active] or [*notices.operators()]


def _departments(budget: Budget) -> Collection[UUID]:
    if budget.department_id or budget.user is None:
        return [budget.department_id] if budget.department_id else []
    return [*budget.user.memberships.values_list("department_id", flat=True)]


def _spent(states: Sequence[BudgetState]) -> Iterable[BudgetAlert]:
    percents = thresholds()
    last = percents[-1]
    near = [state for state in states if len(percents) > 1 and _reached(state, percents[-2])]
    usual = _usual_hold([state.period_id for state in near if state.period_id is not None])
    for state in states:
        has_no_room = state.limit_nanos - state.spent_nanos < usual.get(state.period_id or 0, 0)
        for percent in percents:
            if _reached(state, percent) or (percent == last and has_no_room and state in near):
                yield _alert(state, Kind.SPENT, percent=percent)


def _reached(state: BudgetState, percent: int) -> bool:
    return state.spent_nanos * 100 >= state.limit_nanos * percent


def _usual_hold(period_ids: Collection[int]) -> dict[int, int]:
    """Return what a usual call holds of these periods: calls are refused before the last of a limit is spent."""
    if not period_ids:
        return {}
    holds: dict[int, list[int]] = defaultdict(list)
    newest = Reservation.objects.order_by("-pk").values_list("period_ids", "max_nanos")
    for counted_in, nanos in newest[:RECENT_CALLS]:
        for period_id in counted_in if nanos else ():
            holds[period_id].append(nanos)
    return {one: int(median(holds[one])) for one in period_ids if one in holds}


def _excesses(states: Sequence[BudgetState], now: datetime) -> Iterable[BudgetAlert]:
    """Alerts of the periods in which a call cost more than it held."""
    entries = LedgerEntry.objects.filter(
        kind=LedgerEntry.Kind.EXCESS, booked_at__gte=now - EXCESS_LOOK, booked_at__lte=now
    )
    ids = Reservation.objects.filter(pk__in=entries.values("reservation_id"))
    periods = {one for period_ids in ids.values_list("period_ids", flat=True) for one in period_ids}
    return [_alert(state, Kind.EXCESS) for state in states if state.period_id in periods]


def _will_overrun(foreseen: Forecast, limit_nanos: int, likely: float) -> bool:
    return foreseen.has_history and foreseen.overrun_probability(limit_nanos) >= likely


def _alert(
    state: BudgetState, kind: Kind, *, percent: int = 0, forecast_nanos: int | None = None
) -> BudgetAlert:
    assert state.period_id is not None  # noqa: S101 - both who call it leave out others
    return BudgetAlert(
        budget_period_id=state.period_id,
        kind=kind,
        percent=percent,
        spent_nanos=state.spent_nanos,
        limit_nanos=state.limit_nanos,
        forecast_nanos=forecast_nanos,
    )


def _raise(alerts: Sequence[BudgetAlert]) -> int:
    """Add the alerts that are not there yet; another process may be adding the same."""
    periods = {alert.budget_period_id for alert in alerts}
    known = BudgetAlert.objects.filter(budget_period__in=periods)
    there = set(known.values_list("budget_period_id", "kind", "percent"))
    new = [
        alert
        for alert in alerts
        if (alert.budget_period_id, str(alert.kind), alert.percent) not in there
    ]
    BudgetAlert.objects.bulk_create(new, ignore_conflicts=True)
    return len(new)


def _is_true(alert: BudgetAlert, state: BudgetState) -> bool:
    if alert.kind == Kind.FORECAST:
        return state.limit_nanos <= (alert.forecast_nanos or 0)
    # The last one is raised a little before its share is spent, when calls have no room.
    is_last = alert.percent >= max(thresholds())
    return _reached(state, alert.percent) or (is_last and state.limit_nanos <= alert.limit_nanos)


def _waiting(now: datetime) -> list[list[BudgetAlert]]:
    """Alerts not written about, by period and whether they are excesses; the highest share first."""
    alerts = (
        BudgetAlert.objects.filter(
            Q(emailed_at__isnull=True), created_at__gt=now - notices.RETRIED_FOR
        )
        .select_related("budget_period__budget__department", "budget_period__budget__user")
        .select_related("budget_period__budget__api_key__owner")
        .select_related("budget_period__budget__api_key__department")
        .order_by("budget_period_id", "-percent", "kind")
    )
    waiting: dict[tuple[int, str], list[BudgetAlert]] = defaultdict(list)
    for alert in alerts:
        waiting[alert.budget_period_id, alert.kind].append(alert)
    return list(waiting.values())


def _send(alerts: Sequence[BudgetAlert]) -> bool:
    """Write about the highest of these: the lower ones are said with it."""
    alert = alerts[0]
    period = alert.budget_period
    people = recipients(alert)
    context = {
        "alert": alert,
        "budget": period.budget,
        "refills_at": period.ends_at,
        "left_nanos": max(alert.limit_nanos - alert.spent_nanos, 0),
        "excess_nanos": _excess_of(alert) if alert.kind == Kind.EXCESS else 0,
        "is_last": alert.percent >= max(thresholds()),
        "links": _links(period.budget, people),
    }
    return notices.send(
        template="billing/mail/budget_alert.txt", context=context, recipients=people
    )


def _links(budget: Budget, people: Collection[User]) -> list[tuple[str | Promise, str]]:
    """The pages of the budget, each for some of those who are written to, in words and as an address."""
    department = budget.department or (budget.api_key.department if budget.api_key else None)
    pages: list[tuple[str | Promise, str]] = []
    if budget.user_id or budget.api_key_id:
        pages.append((_("Your usage"), notices.link("billing:usage")))
    if department:
        page = notices.link("billing:department", department.code)
        pages.append((_("The department's cost, for its heads"), page))
    if any(person.is_operator for person in people):
        page = notices.link("admin:billing_budget_change", budget.pk)
        pages.append((_("The budget, for operators"), page))
    return [(words, page) for words, page in pages if page]


def _excess_of(alert: BudgetAlert) -> int:
    """What the calls of the alert's period cost above what they held."""
    held_of = Reservation.objects.filter(period_ids__contains=[alert.budget_period_id])
    since = alert.created_at - EXCESS_LOOK
    entries = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.EXCESS, booked_at__gte=since)
    calls = list(entries.values_list("reservation_id", flat=True))
    kept = held_of.filter(pk__in=calls).values_list("pk", flat=True)
    total = entries.filter(reservation_id__in=list(kept)).aggregate(nanos=Sum("amount_nanos"))
    return int(total["nanos"] or 0)
