"""Looking at every department's cost hour by hour: what is found is kept, each once, and told."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.anomalies import detectors, mailing, series
from apps.billing.anomalies.decomposition import ModelCost, decompose
from apps.billing.anomalies.drift import WATCHED_DAYS, find_drift, watch
from apps.billing.anomalies.profile import DAY_HOURS, Costs
from apps.billing.anomalies.scan import (
    COLD_START_HOURS,
    JOIN_HOURS,
    Incident,
    Scan,
    alarm_limit,
    incidents,
    joined,
    scan,
)
from apps.billing.budgets.state import of_budgets
from apps.billing.calendar import day_of
from apps.billing.models import Anomaly, Budget
from apps.core.money import NANOS_PER_UNIT
from apps.tuning import live

HISTORY_DAYS = 84
# Yesterday is looked at again: an hour whose task was missed, or whose calls were added up late, is not passed over.
CHECKED_DAYS = 1
HOURS_A_MONTH = 730


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One run: hourly cost by department from `since` up to `until`; hours from index `first` on are checked."""

    since: datetime
    until: datetime
    first: int
    costs: Mapping[UUID, Costs]
    month_limits: Mapping[UUID, int]

    def moment(self, hour: int) -> datetime:
        """Return where the hour of that index begins."""
        return self.since + hour * series.HOUR


def detect(at: datetime | None = None) -> int:
    """Look at all complete hours since yesterday's beginning, keep what is new of what stands out, and send what waits.

    Returns how many anomalies are new. A second run finds the same and adds nothing; two at once take turns.
    """
    now = at or timezone.now()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('billing_detect'))")
        look = _look(now)
        found = [*_incidents(look), *_single(look, now), *_drifts(look, now)]
        new = sum(_keep(look, anomaly) for anomaly in found)
    mailing.send_waiting(at=now)
    return new


def acknowledge(*, anomaly_id: UUID, by: User) -> bool:
    """Note that somebody has seen to an anomaly; False: somebody had already."""
    return bool(
        Anomaly.objects.filter(pk=anomaly_id, acknowledged_at__isnull=True).update(
            acknowledged_by=by, acknowledged_at=timezone.now()
        )
    )


def hours_around(anomaly: Anomaly, *, hours: int) -> tuple[datetime, Costs, Costs]:
    """Return the hours before and after an anomaly: where they begin, what each cost, and what was expected.

    Expected is NaN where nothing could be; one query.
    """
    since, costs = _costs_of(anomaly, until=anomaly.ends_at + hours * series.HOUR)
    mean = scan(costs, first=len(costs)).expected
    first = max((series.hour_of(anomaly.starts_at) - since) // series.HOUR - hours, 0)
    known = np.where(mean > 0, mean, np.nan)
    return since + first * series.HOUR, costs[first:], known[first:]


def days_watched(anomaly: Anomaly) -> tuple[datetime, Costs, Costs]:
    """Return the same by day of the four weeks a drift was found in; one query."""
    since, costs = _costs_of(anomaly, until=anomaly.ends_at)
    days = watch(costs)
    begin = since + timedelta(days=len(costs) // DAY_HOURS - WATCHED_DAYS)
    if days is None:
        return begin, np.zeros(0), np.zeros(0)
    return begin, days.watched, days.expected


def _costs_of(anomaly: Anomaly, *, until: datetime) -> tuple[datetime, Costs]:
    """Return the department's hours from long enough before an anomaly, and where they begin."""
    last_day, _end = day_of(anomaly.ends_at)
    since = series.hour_of(last_day) - timedelta(days=HISTORY_DAYS)
    until = series.hour_of(min(until, timezone.now()))
    return since, series.total(since=since, until=until, department_ids=(anomaly.department_id,))


def least_excess(month_nanos: int) -> int:
    """Return the cost above what was expected that is worth an alarm, of a department with this budget for a month."""
    units = live.number("billing.anomaly_least_excess")
    percent = live.number("billing.anomaly_least_budget_percent")
    return max(round(units * NANOS_PER_UNIT), round(month_nanos * percent / 100))


def _look(now: datetime) -> Look:
    today = series.hour_of(day_of(now)[0])
    since, until = today - timedelta(days=HISTORY_DAYS), series.hour_of(now)
    costs = series.by_department(since=since, until=until)
    budgets = Budget.objects.filter(
        is_enabled=True,
        period=Budget.Period.MONTH,
        department__in=list(costs),
        user=None,
        api_key=None,
    )
    departments = dict(budgets.values_list("pk", "department_id"))
    limits = {
        departments[state.budget_id]: state.limit_nanos for state in of_budgets(budgets, at=now)
    }
    first = (HISTORY_DAYS - CHECKED_DAYS) * DAY_HOURS
    return Look(since, until, first, costs, {key: one for key, one in limits.items() if key})


def _incidents(look: Look) -> list[Anomaly]:
    """Hours above what was expected, and hours that take too much of a month's budget."""
    p_limit = alarm_limit(
        alarms_per_week=live.number("billing.anomaly_alarms_per_week"),
        department_count=max(len(look.costs), 1),
    )
    percent = live.number("billing.anomaly_hour_percent")
    found = []
    for department_id, costs in look.costs.items():
        month = look.month_limits.get(department_id, 0)
        least = least_excess(month)
        scanned = scan(costs, first=look.first)
        spikes = incidents(costs, scanned, p_limit=p_limit, least_excess=least)
        for spike in _joined_to_known(look, department_id, Anomaly.Kind.SPIKE, spikes):
            found.append(_spike(look, department_id, scanned, spike))
        heavy = detectors.heavy_hours(costs, first=look.first, month_nanos=month, percent=percent)
        heavy = [one for one in heavy if costs[one.first : one.stop].sum() >= least]
        for burn in _joined_to_known(look, department_id, Anomaly.Kind.BURN_RATE, heavy):
            found.append(_burn(look, department_id, burn, month))
    return found


def _joined_to_known(
    look: Look, department_id: UUID, kind: Anomaly.Kind, found: Sequence[Incident]
) -> list[Incident]:
    """Return the incidents, those that go on with one known already reaching over that one's hours, too."""
    whole = []
    beside = timedelta(hours=JOIN_HOURS)
    for incident in found:
        known = Anomaly.objects.filter(
            department=department_id,
            kind=kind,
            starts_at__lte=look.moment(incident.stop) + beside,
            ends_at__gte=look.moment(incident.first) - beside,
        )
        first, stop, p_value = incident.first, incident.stop, incident.p_value
        for anomaly in known:
            first = min(first, max((anomaly.starts_at - look.since) // series.HOUR, 0))
            stop = max(stop, (anomaly.ends_at - look.since) // series.HOUR)
            p_value = min(p_value, anomaly.p_value if anomaly.p_value is not None else 1.0)
        whole.append(Incident(first, min(stop, len(look.costs[department_id])), p_value))
    return joined(whole)


def _spike(look: Look, department_id: UUID, scanned: Scan, spike: Incident) -> Anomaly:
    begin, end = look.moment(spike.first), look.moment(spike.stop)
    expected = round(float(scanned.expected[spike.first : spike.stop].sum()))
    usual = detectors.models_of(
        [department_id], since=begin - timedelta(weeks=detectors.USUAL_WEEKS), until=begin
    )[department_id]
    actual = detectors.models_of([department_id], since=begin, until=end)[department_id]
    causes = decompose(usual=usual, expected_nanos=expected, actual=actual)
    return Anomaly(
        kind=Anomaly.Kind.SPIKE,
        department_id=department_id,
        starts_at=begin,
        ends_at=end,
        expected_nanos=expected,
        actual_nanos=_sum(actual),
        p_value=spike.p_value,
        causes={
            "volume": causes.volume,
            "tokens": causes.tokens,
            "price_mix": causes.price_mix,
        },
    )


def _sum(models: Mapping[str, ModelCost]) -> int:
    return sum(cost.amount_nanos for cost in models.values())


def _burn(look: Look, department_id: UUID, burn: Incident, month_nanos: int) -> Anomaly:
    """Expected is the even pace of the month's budget."""
    return Anomaly(
        kind=Anomaly.Kind.BURN_RATE,
        department_id=department_id,
        starts_at=look.moment(burn.first),
        ends_at=look.moment(burn.stop),
        expected_nanos=month_nanos * (burn.stop - burn.first) // HOURS_A_MONTH,
        actual_nanos=round(float(look.costs[department_id][burn.first : burn.stop].sum())),
    )


def _single(look: Look, now: datetime) -> list[Anomaly]:
    """What is raised by a rule: models, prices, people."""
    first = look.moment(look.first)
    found = [*detectors.changed_prices(first=first, until=now)]
    if _is_old_enough(look):
        departments = list(look.costs)
        since = first - timedelta(weeks=detectors.USUAL_WEEKS)
        usual = detectors.models_of(departments, since=since, until=first)
        recent = detectors.models_of(departments, since=first, until=look.until)
        found += detectors.unknown_models(
            usual=usual, now_used=recent, first=first, until=look.until
        )
    yesterday, _today = day_of(day_of(now)[0] - series.HOUR)
    by_least: dict[int, list[UUID]] = defaultdict(list)
    for department_id in look.costs:
        by_least[least_excess(look.month_limits.get(department_id, 0))].append(department_id)
    for least, departments in by_least.items():
        found += detectors.single_people(
            day=yesterday,
            least_nanos=least,
            percent=live.number("billing.anomaly_person_percent"),
            departments=departments,
        )
    return found


def _is_old_enough(look: Look) -> bool:
    """Say whether anything was spent three weeks before the hours checked: before, every model is new."""
    return any(np.any(costs[: look.first - COLD_START_HOURS] > 0) for costs in look.costs.values())


def _drifts(look: Look, now: datetime) -> list[Anomaly]:
    """Slow rises up to yesterday, of departments with none raised within the days that are watched."""
    today = HISTORY_DAYS * DAY_HOURS
    recently = set(
        Anomaly.objects.filter(
            kind=Anomaly.Kind.DRIFT, ends_at__gt=now - timedelta(days=WATCHED_DAYS)
        ).values_list("department_id", flat=True)
    )
    found = []
    for department_id, costs in look.costs.items():
        least = least_excess(look.month_limits.get(department_id, 0))
        drift = None if department_id in recently else find_drift(costs[:today], least_excess=least)
        if drift:
            anomaly = Anomaly(
                kind=Anomaly.Kind.DRIFT,
                department_id=department_id,
                starts_at=look.moment(drift.first * DAY_HOURS),
                ends_at=look.moment(drift.stop * DAY_HOURS),
                expected_nanos=round(drift.expected),
                actual_nanos=round(drift.actual),
            )
            found.append(anomaly)
    return found


def _keep(look: Look, anomaly: Anomaly) -> bool:
    """Write an anomaly down, or stretch the one it goes on with; say whether it is new."""
    known = Anomaly.objects.filter(department=anomaly.department_id, kind=anomaly.kind)
    if anomaly.kind in (Anomaly.Kind.SPIKE, Anomaly.Kind.BURN_RATE):
        known = known.filter(starts_at__lt=anomaly.ends_at, ends_at__gt=anomaly.starts_at)
    else:
        known = known.filter(Q(starts_at=anomaly.starts_at, detail=anomaly.detail))
    first = known.order_by("starts_at").first()
    if first is None:
        anomaly.save(force_insert=True)
        return True
    names = ("starts_at", "ends_at", "expected_nanos", "actual_nanos", "p_value", "causes")
    if anomaly.kind in (Anomaly.Kind.SPIKE, Anomaly.Kind.BURN_RATE):
        known.filter(pk=first.pk).update(**{name: getattr(anomaly, name) for name in names})
    return False
