"""What a month will have cost at its end: what is spent, and what the hours to come are likely to add."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import NormalDist
from uuid import UUID

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from apps.billing.anomalies import series
from apps.billing.anomalies.profile import DAY_HOURS, WEEK_HOURS, Costs, trimmed_mean
from apps.billing.calendar import month_of
from apps.billing.costs import overview
from apps.billing.costs.overview import CostFilter

HISTORY_WEEKS = 8
LEAST_WEEKS = 3
PATHS = 1000
# The same noise at each look: the interval moves with what is known, not by chance.
SEED = 20_261_122
# What is held before anything is seen of a department: its level wanders by 7 % a week, as if four weeks had said so.
# Measured on made departments whose level wanders by 0 to 10 % a week (tests/benchmarks/test_anomalies.py).
PRIOR_DRIFT, PRIOR_WEEKS = 0.07, 4.0
# Differences of weekly means of a random walk have two thirds of its variance (Working 1960).
WORKING_RATIO = 1.5
# With too little history the rest of the month goes on as it did until now, within half and twice of it in 8 of 10.
WIDE_FACTOR = 2.0
WEEK_DAYS = 7
AT_ONCE = timedelta(minutes=1)
# Against a logarithm of nothing: a week without cost counts as this share of a mean week.
LEAST_LEVEL_RATIO = 0.02
# Against what no budget survives: after weeks without cost the tails know no bounds, and money does.
MOST_GROWTH = 100.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a month will have cost: in one case of ten at most `p10_nanos`, half the cases `p50_nanos`, nine `p90_nanos`.

    Without `has_history` (less than three weeks of calls) the pace so far is carried on, within a factor of two; with no
    complete day there is no forecast, and all three are what is spent. `outcomes_nanos` are equally likely, in order.
    """

    spent_nanos: int
    p10_nanos: int
    p50_nanos: int
    p90_nanos: int
    has_history: bool
    outcomes_nanos: Sequence[int] = ()

    def overrun_probability(self, limit_nanos: int) -> float:
        """Return how likely the month costs more than this."""
        if not self.outcomes_nanos:
            return float(self.spent_nanos > limit_nanos)
        return 1 - bisect_right(self.outcomes_nanos, limit_nanos) / len(self.outcomes_nanos)


def month_end(*, department_id: UUID | None, at: datetime | None = None) -> Forecast:
    """Return the forecast for the moment's month of a department, or of all together with None; two queries."""
    now = at or timezone.now()
    departments = None if department_id is None else (department_id,)
    starts_at, ends_at = month_of(now)
    # The running month as a whole is summed the quickest; of a moment in the past only what was before it counts.
    until = now if timezone.now() - now > AT_ONCE else ends_at
    spent = overview.total(CostFilter(starts_at, until, department_ids=departments)).amount_nanos
    hour = series.hour_of(now)
    since = hour - timedelta(weeks=HISTORY_WEEKS)
    costs = series.total(since=since, until=hour, department_ids=departments)
    return foresee(spent_nanos=spent, costs=costs, hours_left=(ends_at - now) / series.HOUR)


def foresee(*, spent_nanos: int, costs: Costs, hours_left: float) -> Forecast:
    """Return the forecast from the hours before now, in a row; those before the first with a cost are before its begin."""
    used = np.flatnonzero(costs > 0)
    hours_known = len(costs) - int(used[0]) if len(used) else 0
    weeks = hours_known // WEEK_HOURS
    if weeks >= LEAST_WEEKS:
        rest = _paths(costs[-weeks * WEEK_HOURS :], hours_left=hours_left)
    elif hours_known >= DAY_HOURS:
        pace = float(costs[-hours_known:].mean())
        rest = pace * hours_left * _wide()
    else:
        return Forecast(spent_nanos, spent_nanos, spent_nanos, spent_nanos, has_history=False)
    outcomes = spent_nanos + np.sort(np.rint(rest)).astype(np.int64)
    p10, p50, p90 = (int(value) for value in np.quantile(outcomes, (0.1, 0.5, 0.9)))
    return Forecast(
        spent_nanos, p10, p50, p90, weeks >= LEAST_WEEKS, tuple(int(value) for value in outcomes)
    )


def _wide() -> NDArray[np.float64]:
    """Factors around 1, of which eight in ten lie between 1/WIDE_FACTOR and WIDE_FACTOR."""
    normal = NormalDist(0, np.log(WIDE_FACTOR) / NormalDist().inv_cdf(0.9))
    return np.exp([normal.inv_cdf((one + 0.5) / PATHS) for one in range(PATHS)])


def _paths(costs: Costs, *, hours_left: float) -> NDArray[np.float64]:
    """Return what the rest of the month adds, many times over: level × profile, with days' residuals in blocks of a week.

    Days are counted from now backwards and forwards, so the coming hour's place in the week is index 0.
    """
    if hours_left <= 0:
        return np.zeros(PATHS)
    random = np.random.default_rng(SEED)
    weeks = len(costs) // WEEK_HOURS
    profile = _profile(costs.reshape(weeks, WEEK_HOURS))
    shape = profile.reshape(WEEK_DAYS, DAY_HOURS).sum(axis=1)
    daily = costs.reshape(weeks, WEEK_DAYS, DAY_HOURS).sum(axis=2)
    levels = np.maximum(
        daily.sum(axis=1) / shape.sum(), daily.mean() / DAY_HOURS * LEAST_LEVEL_RATIO
    )
    usual = levels[:, None] * shape
    # Each week's level was fitted to its own seven days: one of them is no longer free.
    residuals = (daily - usual) / np.sqrt(np.maximum(usual, 1.0)) * np.sqrt(WEEK_DAYS / 6)
    spread = float((residuals**2).mean())
    ahead = ceil(ceil(hours_left) / WEEK_HOURS)
    level = _levels(random, levels, noise=spread / (levels * shape.sum()), ahead=ahead)
    hours = np.tile(profile, ahead) * np.clip(hours_left - np.arange(ahead * WEEK_HOURS), 0, 1)
    days = hours.reshape(ahead * WEEK_DAYS, DAY_HOURS).sum(axis=1)
    mean = np.repeat(level, WEEK_DAYS, axis=1) * days
    drawn = residuals[random.integers(0, weeks, (PATHS, ahead))].reshape(PATHS, -1)
    result: NDArray[np.float64] = np.maximum(mean + drawn * np.sqrt(mean), 0).sum(axis=1)
    return result


def _profile(costs: Costs) -> Costs:
    """The trimmed shape of a week, each hour with its neighbours, of mean 1."""
    beside = np.concatenate([np.roll(costs, shift, axis=1) for shift in (-1, 0, 1)])
    profile = trimmed_mean(beside.T)
    if profile.sum() <= 0:
        return np.ones(WEEK_HOURS)
    shape: Costs = profile / profile.mean()
    return shape


def _levels(
    random: np.random.Generator, levels: Costs, *, noise: Costs, ahead: int
) -> NDArray[np.float64]:
    """Return levels of the weeks ahead, many times over: a random walk from where a Kalman filter sees it now.

    `noise` is the relative variance of each week's level by the chance of its days alone; what the levels vary above it
    is their wandering. Its own uncertainty makes the tails Student's.
    """
    logs = np.log(levels)
    steps = np.diff(logs)
    seen = WORKING_RATIO * max(float((steps**2).mean() - (noise[1:] + noise[:-1]).mean()), 0.0)
    freedom = PRIOR_WEEKS + len(steps)
    wander = (PRIOR_WEEKS * PRIOR_DRIFT**2 + len(steps) * seen) / freedom
    level, variance = float(logs[0]), float(noise[0])
    for log_level, chance in zip(logs[1:], noise[1:], strict=True):
        variance += wander
        gain = variance / (variance + chance)
        level += gain * (float(log_level) - level)
        variance *= 1 - gain
    fat = np.sqrt(freedom / random.chisquare(freedom, (PATHS, 1)))
    start = random.normal(0, np.sqrt(variance), (PATHS, 1))
    walk = np.cumsum(random.normal(0, np.sqrt(wander), (PATHS, ahead)), axis=1)
    highest = float(logs.max()) + np.log(MOST_GROWTH)
    result: NDArray[np.float64] = np.exp(np.minimum(level + fat * (start + walk), highest))
    return result
