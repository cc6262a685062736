"""How likely an earlier answer is wrong for a question this near to its own, learned from labels; pure numpy.

For each entry P(right | s) = sigmoid(gamma (s - t)): a question needs some nearness t, and gamma says how sharply.
Both are unknown and held as weights on a grid, so nothing is fitted that few labels cannot tell. The weights start from
a prior pooled over all entries (empirical Bayes): what is usual for this organisation's questions and this embedding
model. What is bounded is the error given a hit, not the error over all requests, which misses would flatter.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_GAMMAS = (8.0, 20.0, 50.0, 125.0)
_THRESHOLDS = np.linspace(0.55, 1.15, 64)
GAMMA: Final[Array] = np.repeat(_GAMMAS, len(_THRESHOLDS))
THRESHOLD: Final[Array] = np.tile(_THRESHOLDS, len(_GAMMAS))

# Weight of the flat prior among the pooled entries: as if so many entries had told nothing.
FLAT_ENTRIES = 10.0
_ROUNDS = 60


def flat() -> Array:
    """Return the weights before anything was learned: every threshold alike, also those that no question reaches."""
    return np.full(len(GAMMA), 1 / len(GAMMA))


def evidence(similarities: Sequence[float] | Array, is_right: Sequence[bool] | Array) -> Array:
    """Return the log-likelihood of an entry's labels at each point of the grid; of no labels, zeros.

    Those of several sets of labels add up.
    """
    right = np.asarray(is_right, dtype=bool)
    if not len(right):
        return np.zeros(len(GAMMA))
    distance = GAMMA * (np.asarray(similarities, dtype=np.float64)[:, None] - THRESHOLD)
    signed = np.where(right[:, None], distance, -distance)
    total: Array = -np.logaddexp(0.0, -signed).sum(axis=0)
    return total


def pooled(evidences: Sequence[Array]) -> Array:
    """Return the prior that explains all entries' labels best: expectation-maximisation of the weights of the grid.

    The mixture's weights are those of Kiefer and Wolfowitz (1956), kept from extremes by `FLAT_ENTRIES` of the flat
    prior, which also is the answer where there are no labels.
    """
    weights = flat()
    if not evidences:
        return weights
    logs = np.stack(evidences)
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    for _round in range(_ROUNDS):
        shares = likelihood * weights
        shares /= shares.sum(axis=1, keepdims=True)
        weights = shares.sum(axis=0) + FLAT_ENTRIES * flat()
        weights /= weights.sum()
    return weights


def expected_error(prior: Array, labels: Array, similarity: float) -> float:
    """Return 1 - E[P(right | similarity)] of an entry with this evidence, between 0 and 1."""
    posterior = prior * np.exp(labels - labels.max())
    posterior /= posterior.sum()
    right = 1 / (1 + np.exp(-GAMMA * (similarity - THRESHOLD)))
    return float(1 - posterior @ right)


def may_serve(*, error: float, label_count: int, error_bound: float, minimum_labels: int) -> bool:
    """Say whether an entry may answer: enough labels of its own, and an expected error within the bound."""
    return label_count >= minimum_labels and error <= error_bound
