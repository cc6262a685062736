"""Departments made by chance, to measure detection and forecasts on: calls by the hour of the week, each with a cost."""

from dataclasses import dataclass

import numpy as np

from apps.billing.anomalies.profile import DAY_HOURS, WEEK_HOURS, Costs

WORK_BEGINS, WORK_ENDS = 8, 18
NIGHT_RATIO, WEEKEND_RATIO = 0.08, 0.15
# One call costs 0.011 units in the median, and one in twenty more than 0.08.
CALL_LOG_MEAN, CALL_LOG_SPREAD = -4.5, 1.2
NANOS = 1e9


@dataclass(frozen=True, slots=True)
class Spike:
    """Hours `first` up to, without, `stop` in which the cost was multiplied."""

    first: int
    stop: int


def department(random: np.random.Generator, *, weeks: int, drift: float = 0.05) -> Costs:
    """Return the hourly cost in nanos of a department: a compound Poisson process over so many weeks.

    One to forty calls an hour in the mean, most in working hours, in bursts (overdispersion), each of log-normal cost.
    `drift` is by how much the level wanders from week to week (standard deviation of its logarithm).
    """
    calls = np.exp(random.uniform(0.0, np.log(40)))
    level = np.exp(np.cumsum(random.normal(0, drift, weeks)))
    bursts = random.gamma(4, 1 / 4, weeks * WEEK_HOURS)
    counts = random.poisson(calls * np.tile(week(), weeks) * np.repeat(level, WEEK_HOURS) * bursts)
    each = random.lognormal(CALL_LOG_MEAN, CALL_LOG_SPREAD, int(counts.sum()))
    ends = np.cumsum(counts)
    sums = np.concatenate([[0.0], np.cumsum(each)])
    return np.asarray(np.rint((sums[ends] - sums[ends - counts]) * NANOS))


def week() -> Costs:
    """Return the shape of a week by hour, of mean 1: working hours, with lunch below the afternoon."""
    hour = np.arange(WEEK_HOURS) % DAY_HOURS
    is_work = (hour >= WORK_BEGINS) & (hour < WORK_ENDS)
    shape = np.where(is_work, 1 + 0.3 * np.sin((hour - WORK_BEGINS) / 10 * np.pi), NIGHT_RATIO)
    shape = shape * np.where(np.arange(WEEK_HOURS) // DAY_HOURS < 5, 1.0, WEEKEND_RATIO)
    return np.asarray(shape / shape.mean())


def with_spike(
    random: np.random.Generator, costs: Costs, *, first: int, factor: float
) -> tuple[Costs, Spike]:
    """Return the costs with one spike from index `first` on, of one to six hours, and where it is.

    It begins where money is spent: an hour is drawn in proportion to the shape of the week.
    """
    hours = np.arange(first + DAY_HOURS, len(costs) - 2 * DAY_HOURS)
    weights = week()[hours % WEEK_HOURS]
    begin = int(random.choice(hours, p=weights / weights.sum()))
    stop = begin + int(random.integers(1, 7))
    usual = (
        week()[np.arange(begin, stop) % WEEK_HOURS] * costs[first - 6 * WEEK_HOURS : first].mean()
    )
    spiked = costs.copy()
    spiked[begin:stop] = np.rint(np.maximum(costs[begin:stop], usual) * factor)
    return spiked, Spike(begin, stop)
