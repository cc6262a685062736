"""Slow rises that no single hour shows: a cumulative sum over days against the weeks before."""

from dataclasses import dataclass

import numpy as np

from apps.billing.anomalies.profile import DAY_HOURS, Costs, trimmed_mean

WATCHED_DAYS = 28
LEAST_USUAL_WEEKS = 4
# Page (1954): what a day may be above without counting, and the sum that is raised, in standard deviations of a day.
SLACK = 0.5
LIMIT = 8.0
# A single day counts for no more than this: a spike is raised as one, and is no drift.
LARGEST_DAY = 3.0
LEAST_RISE_RATIO = 0.25


@dataclass(frozen=True, slots=True)
class Drift:
    """Days `first` up to, without, `stop` (indices of days) over which the cost crept up."""

    first: int
    stop: int
    expected: float
    actual: float


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """The days that are watched, what each was expected to cost, and by how much such days vary (variance over mean)."""

    watched: Costs
    expected: Costs
    spread: float


def watch(costs: Costs) -> Days | None:
    """Return the last four weeks and what the weeks before make expected of their days; None with too few of those.

    `costs` are hours in a row from a day's beginning on; hours of a last day that is not complete don't count.
    """
    used = np.flatnonzero(costs > 0)
    day_count = len(costs) // DAY_HOURS
    began = int(used[0]) // DAY_HOURS if len(used) else day_count
    usual_weeks = (day_count - WATCHED_DAYS - began) // 7
    if usual_weeks < LEAST_USUAL_WEEKS:
        return None
    days = costs[: day_count * DAY_HOURS].reshape(-1, DAY_HOURS).sum(axis=1)
    usual = days[:-WATCHED_DAYS][-7 * usual_weeks :].reshape(usual_weeks, 7)
    shape = trimmed_mean(usual.T)
    if shape.sum() <= 0:
        return None
    mean = shape * usual.sum() / (shape.sum() * usual_weeks)
    spread = float(np.mean((usual - mean) ** 2 / np.maximum(mean, _least(mean))))
    return Days(days[-WATCHED_DAYS:], np.tile(mean, WATCHED_DAYS // 7), spread)


def find_drift(costs: Costs, *, least_excess: float) -> Drift | None:
    """Return the rise the last complete day belongs to, when it is one; None, or too little history, otherwise."""
    days = watch(costs)
    if days is None:
        return None
    divisor = max(days.spread, 1e-12) * np.maximum(days.expected, _least(days.expected))
    steps = np.minimum((days.watched - days.expected) / np.sqrt(divisor), LARGEST_DAY)
    total, begin = 0.0, 0
    for day, step in enumerate(steps):
        if total <= 0:
            begin = day
        total = max(0.0, total + float(step) - SLACK)
    before, after = float(days.expected[begin:].sum()), float(days.watched[begin:].sum())
    rise = after - before
    if total < LIMIT or rise < least_excess or rise < LEAST_RISE_RATIO * before:
        return None
    day_count = len(costs) // DAY_HOURS
    return Drift(day_count - WATCHED_DAYS + begin, day_count, before, after)


def _least(mean: Costs) -> float:
    """Days of nearly no cost are measured as if they had this much, a twentieth of a mean day."""
    return max(float(mean.mean()) * 0.05, 1.0)
