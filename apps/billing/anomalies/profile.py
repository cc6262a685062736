"""What an hour was expected to cost: a trimmed hour-of-week profile times the level of the last week."""

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]

DAY_HOURS = 24
WEEK_HOURS = 7 * DAY_HOURS
PROFILE_WEEKS = 6
LEVEL_DAYS = 7
TRIM_RATIO = 0.1


def expected(costs: Costs) -> Costs:
    """Return what each hour was expected to cost, from the hours before it; NaN where too little came before.

    `costs` are hours in a row. An hour's own day is in none of it (the profile looks back a week less an hour, the level
    a day), so what goes on now does not raise what is expected now.
    """
    profile = _profile(costs)
    return profile * _level(costs, profile)


def trimmed_mean(values: Costs) -> Costs:
    """Return the mean of each row without its NaN and the lowest and highest tenth of the rest; NaN for an empty row."""
    ordered = np.sort(values, axis=1)  # NaN last
    count = np.sum(~np.isnan(values), axis=1)
    cut = (count * TRIM_RATIO).astype(np.intp)
    sums = np.zeros((len(values), values.shape[1] + 1))
    sums[:, 1:] = np.nancumsum(ordered, axis=1)
    row = np.arange(len(values))
    kept = sums[row, count - cut] - sums[row, cut]
    means: Costs = np.divide(
        kept, count - 2 * cut, out=np.full(len(values), np.nan), where=count > 0
    )
    return means


def _profile(costs: Costs) -> Costs:
    """The same hour of the week and its neighbours, over the weeks before."""
    lags = [
        week * WEEK_HOURS + beside for week in range(1, PROFILE_WEEKS + 1) for beside in (-1, 0, 1)
    ]
    at = np.arange(len(costs))[:, None] - np.array(lags)
    return trimmed_mean(np.where(at >= 0, costs[np.maximum(at, 0)], np.nan))


def _level(costs: Costs, profile: Costs) -> Costs:
    """How the seven days before yesterday's hour went against the profile, without the best and the worst of them."""
    has_profile = ~np.isnan(profile)
    actual, shape = (_daily_sums(np.where(has_profile, values, 0.0)) for values in (costs, profile))
    none = np.full_like(actual, np.nan)
    ratio = np.divide(actual, shape, out=none, where=shape > 0)
    kept = (~np.isnan(ratio)).astype(np.float64)
    enough = kept.sum(axis=0) == LEVEL_DAYS
    hour = np.arange(len(costs))
    kept[np.argmax(np.where(np.isnan(ratio), -np.inf, ratio), axis=0), hour] = 0
    kept[np.argmin(np.where(np.isnan(ratio), np.inf, ratio), axis=0), hour] = 0
    below = (shape * kept).sum(axis=0)
    level: Costs = np.full(len(costs), np.nan)
    np.divide((actual * kept).sum(axis=0), below, out=level, where=enough & (below > 0))
    return level


def _daily_sums(values: Costs) -> Costs:
    """For each hour, the sums of the seven times 24 hours that end a day before it; (days, hours)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(len(values)) + 1 - DAY_HOURS
    days = []
    for day in range(LEVEL_DAYS):
        stop = np.maximum(end - day * DAY_HOURS, 0)
        days.append(sums[stop] - sums[np.maximum(stop - DAY_HOURS, 0)])
    return np.array(days)
