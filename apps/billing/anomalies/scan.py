"""Hours that cost more than expected, and the incidents they make; numbers in, numbers out."""

from dataclasses import dataclass

import numpy as np

from apps.billing.anomalies.profile import DAY_HOURS, WEEK_HOURS, Costs, expected
from apps.billing.anomalies.tails import Tail

SCALES = (1, 6, DAY_HOURS)
COLD_START_HOURS = 3 * WEEK_HOURS
TAIL_HOURS = 6 * WEEK_HOURS
# Hours that usually cost nearly nothing would have residuals without measure: the divisor has this share of a mean hour.
FLOOR_RATIO = 0.05
# What stands out again within so many hours belongs to the same incident.
JOIN_HOURS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """By hour: what was expected (0 where nothing can be), and by scale (1, 6, 24 hours to the hour's end) the rest.

    `p_values` are 1 where nobody can say: before the scan's first hour, and in the cold start.
    """

    expected: Costs
    p_values: Costs
    excesses: Costs


@dataclass(frozen=True, slots=True)
class Incident:
    """Hours `first` up to, without, `stop` that stand out together; `p_value` is the least of them."""

    first: int
    stop: int
    p_value: float


def alarm_limit(*, alarms_per_week: float, department_count: int) -> float:
    """Return the p value up to which an hour is raised, so that chance alone raises so many a week over all departments."""
    return alarms_per_week / 7 / (department_count * DAY_HOURS * len(SCALES))


def scan(costs: Costs, *, first: int) -> Scan:
    """Return how each hour from index `first` on stands against what was expected.

    `costs` are hours in a row from a day's beginning on; each day is judged by the tail of the six weeks before it.
    """
    began = int(np.argmax(costs > 0)) // DAY_HOURS * DAY_HOURS if np.any(costs > 0) else len(costs)
    whole = expected(costs[began:])
    mean = np.zeros(len(costs))
    mean[began:] = np.nan_to_num(whole)
    known_from = began + (int(np.argmax(~np.isnan(whole))) if np.any(~np.isnan(whole)) else 0)
    p_values = np.ones((len(SCALES), len(costs)))
    excesses = np.zeros((len(SCALES), len(costs)))
    floor = FLOOR_RATIO * _trailing_mean(mean)
    for row, hours in enumerate(SCALES):
        excesses[row] = _sums(costs - mean, hours)
        residuals = excesses[row] / np.sqrt(np.maximum(_sums(mean, hours) + hours * floor, 1.0))
        for day in range(first // DAY_HOURS * DAY_HOURS, len(costs), DAY_HOURS):
            if day - began < COLD_START_HOURS:
                continue
            since = max(known_from + DAY_HOURS, day - TAIL_HOURS)
            tail = Tail.fit(residuals[since:day])
            if tail:
                p_values[row, day : day + DAY_HOURS] = tail.p_values(
                    residuals[day : day + DAY_HOURS]
                )
    p_values[:, :first] = 1.0
    return Scan(mean, p_values, excesses)


def incidents(
    costs: Costs, scanned: Scan, *, p_limit: float, least_excess: float
) -> list[Incident]:
    """Return what is to be raised: hours at least this unlikely and this dear, those close together as one.

    An hour that stands out in its sum of 6 or 24 hours stands for that part of them which cost the most above what was
    expected.
    """
    above = costs - scanned.expected
    raised = (scanned.p_values <= p_limit) & (scanned.excesses >= least_excess)
    found = []
    for row, hour in np.argwhere(raised):
        first, stop = _dearest_run(above, int(hour) + 1 - SCALES[row], int(hour) + 1)
        found.append(Incident(first, stop, float(scanned.p_values[row, hour])))
    return joined(found)


def joined(found: list[Incident]) -> list[Incident]:
    """Return the incidents with those that overlap, or lie within JOIN_HOURS, made one."""
    whole: list[Incident] = []
    for one in sorted(found, key=lambda incident: incident.first):
        if whole and one.first <= whole[-1].stop + JOIN_HOURS:
            last = whole[-1]
            stop, p_value = max(last.stop, one.stop), min(last.p_value, one.p_value)
            whole[-1] = Incident(last.first, stop, p_value)
        else:
            whole.append(one)
    return whole


def _dearest_run(above: Costs, first: int, stop: int) -> tuple[int, int]:
    """Return the hours in a row, within these, that stand out the most (Kadane).

    An hour counts by what it is above half of their mean excess, so that those around a spike stay outside of it.
    """
    window = above[max(first, 0) : stop]
    counted = window - window.mean() / 2
    best, best_run = -np.inf, (stop - 1, stop)
    total, begin = 0.0, 0
    for hour, value in enumerate(counted):
        if total <= 0:
            total, begin = 0.0, hour
        total += float(value)
        if total > best:
            best, best_run = total, (max(first, 0) + begin, max(first, 0) + hour + 1)
    return best_run


def _sums(values: Costs, hours: int) -> Costs:
    """For each hour, the sum of so many hours that end with it."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    result: Costs = sums[stop] - sums[np.maximum(stop - hours, 0)]
    return result


def _trailing_mean(mean: Costs) -> Costs:
    return _sums(mean, WEEK_HOURS) / WEEK_HOURS
