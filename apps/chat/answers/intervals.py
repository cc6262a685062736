"""The exact interval of a share that was counted (Clopper and Pearson 1934), without tables; pure functions."""

from collections.abc import Callable
from math import exp, lgamma, log, log1p

_STEPS = 60


def clopper_pearson(count: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided interval of a share of which `count` of `total` were seen; (0, 1) of nothing."""
    tail = (1 - confidence) / 2
    return lower_bound(count, total, tail=tail), upper_bound(count, total, tail=tail)


def upper_bound(count: int, total: int, *, tail: float) -> float:
    """Return the share at which so few or fewer would be seen with the probability `tail`."""
    if count >= total:
        return 1.0
    return _solve(lambda share: _at_most(count, total, share) > tail)


def lower_bound(count: int, total: int, *, tail: float) -> float:
    """Return the share at which so many or more would be seen with the probability `tail`."""
    return 0.0 if count <= 0 else 1 - upper_bound(total - count, total, tail=tail)


def _solve(is_below: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _step in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def _at_most(count: int, total: int, share: float) -> float:
    """Return P(X <= count) for X binomial, `0 < share < 1`."""
    first = lgamma(total + 1)
    return sum(
        exp(
            first
            - lgamma(k + 1)
            - lgamma(total - k + 1)
            + k * log(share)
            + (total - k) * log1p(-share)
        )
        for k in range(count + 1)
    )
