"""Measures of a ranking against judgements, and whether two rankings differ by more than chance. Pure arithmetic."""

from collections.abc import Mapping, Sequence
from math import log2
from typing import Final

import numpy as np
from numpy.typing import NDArray

MEASURES: Final = ("ndcg_at_10", "recall_at_10", "recall_at_100", "average_precision")


def measure(ranked: Sequence[str], gains: Mapping[str, int]) -> tuple[float, float, float, float]:
    """Return MEASURES of one question's ranking (each document once); `gains` has only documents that count."""
    return (
        _discounted([gains.get(document, 0) for document in ranked[:10]])
        / _discounted(sorted(gains.values(), reverse=True)[:10]),
        _recall(ranked[:10], gains),
        _recall(ranked[:100], gains),
        _average_precision(ranked, gains),
    )


def _discounted(gains: Sequence[int]) -> float:
    # Järvelin and Kekäläinen 2002, with the gain itself (not 2^gain) as in the figures compared with.
    return sum(gain / log2(position + 2) for position, gain in enumerate(gains))


def _recall(ranked: Sequence[str], gains: Mapping[str, int]) -> float:
    return sum(document in gains for document in ranked) / len(gains)


def _average_precision(ranked: Sequence[str], gains: Mapping[str, int]) -> float:
    hits, total = 0, 0.0
    for position, document in enumerate(ranked, start=1):
        if document in gains:
            hits += 1
            total += hits / position
    return total / len(gains)


def chance_of_difference(
    one: NDArray[np.float64], other: NDArray[np.float64], *, rounds: int = 20_000, seed: int = 1
) -> float:
    """Return how often flipping which is which, question by question, differs at least as much (two-sided p)."""
    differences = one - other
    signs = np.random.default_rng(seed).integers(0, 2, size=(rounds, len(differences))) * 2 - 1
    as_large = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12
    return float((as_large.sum() + 1) / (rounds + 1))
