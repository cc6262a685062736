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


def find_drift(costs: Costs, *, least_excess: float) -> Drift | None:
    """Return the rise the last complete day belongs to, when it is one; None, or too little history, otherwise.

    `costs` are hours in a row from a day's beginning on. The days watched are held against weeks before them.
    """
    used = np.flatnonzero(costs > 0)
    day_count = len(costs) // DAY_HOURS
    began = int(used[0]) // DAY_HOURS if len(used) else day_count
    usual_weeks = (day_count - WATCHED_DAYS - began) // 7
    if usual_weeks < LEAST_USUAL_WEEKS:
        return None
    days = costs[: day_count * DAY_HOURS].reshape(-1, DAY_HOURS).sum(axis=1)
    watched = days[-WATCHED_DAYS:]
    usual = days[: -WATCHED_DAYS or None][-7 * usual_weeks :].reshape(usual_weeks, 7)
    shape = trimmed_mean(usual.T)
    if shape.sum() <= 0:
        return None
    mean = shape * usual.sum() / (shape.sum() * usual_weeks)
    least = max(float(mean.mean()) * 0.05, 1.0)
    spread = float(np.mean((usual - mean) ** 2 / np.maximum(mean, least)))
    expected = np.tile(mean, WATCHED_DAYS // 7)
    steps = (watched - expected) / np.sqrt(max(spread, 1e-12) * np.maximum(expected, least))
    return _raised(watched, expected, np.minimum(steps, LARGEST_DAY), day_count, least_excess)


def _raised(
    watched: Costs, expected: Costs, steps: Costs, day_count: int, least_excess: float
) -> Drift | None:
    total, begin = 0.0, 0
    for day, step in enumerate(steps):
        if total <= 0:
            begin = day
        total = max(0.0, total + float(step) - SLACK)
    before, after = float(expected[begin:].sum()), float(watched[begin:].sum())
    rise = after - before
    if total < LIMIT or rise < least_excess or rise < LEAST_RISE_RATIO * before:
        return None
    offset = day_count - WATCHED_DAYS
    return Drift(offset + begin, day_count, before, after)
