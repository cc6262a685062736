"""The learned probability keeps the error given a hit below its bound, where a fixed similarity does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.chat.answers import posterior
from apps.chat.answers.intervals import clopper_pearson, upper_bound
from tests.chat.answers.semantic_traffic import learned, requests, static

REQUESTS = 20_000
similarities = st.floats(0, 1)
labels = st.lists(st.tuples(similarities, st.booleans()), max_size=12)


def error(known: list[tuple[float, bool]], at: float) -> float:
    """Return the expected error with the flat prior."""
    evidence = posterior.evidence([near for near, _ in known], [right for _, right in known])
    return posterior.expected_error(posterior.flat(), evidence, at)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("error_bound", [0.02, 0.05])
def test_errors_among_hits_stay_below_the_bound(seed: int, error_bound: float) -> None:
    tally = learned(requests(REQUESTS, seed=seed), error_bound=error_bound)
    assert tally.hit_count > 0.1 * REQUESTS
    assert upper_bound(tally.error_count, tally.hit_count, tail=0.05) <= error_bound


def test_a_fixed_similarity_does_not_keep_it() -> None:
    tally = static(requests(REQUESTS, seed=1), threshold=0.97)
    assert tally.error_given_hit > 0.02


def test_traffic_of_look_alikes_alone_gets_no_hits() -> None:
    wrong = (one for one in requests(REQUESTS, seed=4) if not one.is_right)
    tally = learned(wrong, error_bound=0.02)
    assert tally.hit_count == 0


@given(labels, similarities)
def test_an_expected_error_is_a_probability(known: list[tuple[float, bool]], at: float) -> None:
    assert 0 <= error(known, at) <= 1


@given(labels, similarities, similarities)
def test_nearer_is_never_worse(known: list[tuple[float, bool]], one: float, other: float) -> None:
    near, far = max(one, other), min(one, other)
    assert error(known, near) <= error(known, far) + 1e-12


@given(labels, similarities)
def test_a_good_label_never_hurts_and_a_bad_one_never_helps(
    known: list[tuple[float, bool]], at: float
) -> None:
    before = error(known, at)
    assert error([*known, (at, True)], at) <= before + 1e-12
    assert error([*known, (at, False)], at) >= before - 1e-12


@given(labels, labels)
def test_evidence_adds_up(one: list[tuple[float, bool]], other: list[tuple[float, bool]]) -> None:
    def evidence(known: list[tuple[float, bool]]) -> posterior.Array:
        return posterior.evidence([near for near, _ in known], [right for _, right in known])

    np.testing.assert_allclose(evidence(one + other), evidence(one) + evidence(other), atol=1e-9)


@settings(max_examples=30)
@given(st.lists(labels, max_size=8))
def test_the_pooled_prior_is_a_distribution_with_something_everywhere(
    entries: list[list[tuple[float, bool]]],
) -> None:
    prior = posterior.pooled(
        [posterior.evidence([n for n, _ in known], [r for _, r in known]) for known in entries]
    )
    assert prior.sum() == pytest.approx(1)
    assert prior.min() > 0


def test_without_labels_of_its_own_nothing_is_served() -> None:
    assert not posterior.may_serve(error=0.0, label_count=3, error_bound=0.02, minimum_labels=4)
    assert posterior.may_serve(error=0.02, label_count=4, error_bound=0.02, minimum_labels=4)
    assert not posterior.may_serve(error=0.021, label_count=9, error_bound=0.02, minimum_labels=4)


# Clopper and Pearson's own example and the rule of three.
@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0.0, 0.3085), (1, 10, 0.0025, 0.4450), (3, 10, 0.0667, 0.6525), (10, 10, 0.6915, 1.0)],
)
def test_intervals_are_clopper_and_pearsons(
    count: int, total: int, low: float, high: float
) -> None:
    assert clopper_pearson(count, total) == pytest.approx((low, high), abs=1e-4)


def test_of_nothing_nothing_is_known() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert upper_bound(0, 1000, tail=0.05) == pytest.approx(0.003, abs=1e-4)
