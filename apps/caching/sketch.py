"""Logarithmic buckets for latencies: any quantile of merged counts is within 5 % of the true one (METHODS: DDSketch).

Bucket i holds the values v with γ^(i-1) < v ≤ γ^i, where γ = (1 + α) / (1 - α). Its representative 2γ^i / (γ + 1) is
off by at most α, whatever the distribution; merging sketches is adding counts (Masson, Rim, Lee: DDSketch, VLDB 2019).
"""

import math
from collections.abc import Mapping

RELATIVE_ERROR = 0.05
_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)


def bucket(microseconds: float) -> int:
    """Return the bucket of a latency; all up to one microsecond share bucket 0."""
    if microseconds <= 1:
        return 0
    return math.ceil(math.log(microseconds) / _LOG_GAMMA)


def representative(index: int) -> float:
    """Return the latency, in microseconds, that stands for all of a bucket."""
    return 1.0 if index == 0 else 2 * _GAMMA**index / (_GAMMA + 1)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Return the latency, in microseconds, below which `share` of the values lie; None when there are none."""
    total = sum(counts.values())
    # The value of this rank, from zero, as numpy's "lower" interpolation takes it.
    rank = math.floor(share * (total - 1))
    for index in sorted(counts):
        rank -= counts[index]
        if rank < 0:
            return representative(index)
    return None
