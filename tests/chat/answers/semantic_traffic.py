"""Synthetic questions to a semantic cache, and policies that decide on hits; for the simulation and its benchmark.

Each entry has paraphrases (its answer is right for them) and look-alikes (it is wrong), whose nearness overlaps, and
differs from entry to entry as it does between short and long questions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from apps.chat.answers import posterior

ENTRY_COUNT = 400


@dataclass(frozen=True, slots=True)
class Request:
    """A question nearest to `entry`, and whether that entry's answer would be right."""

    entry: int
    similarity: float
    is_right: bool


def requests(count: int, *, seed: int, entry_count: int = ENTRY_COUNT) -> Iterator[Request]:
    """Yield questions: entries by Zipf's law, half of them paraphrases."""
    draw = np.random.default_rng(seed)
    weights = 1 / np.arange(1, entry_count + 1) ** 0.9
    places = draw.choice(entry_count, size=count, p=weights / weights.sum())
    right_mean = draw.normal(0.93, 0.025, entry_count)
    wrong_mean = right_mean - draw.uniform(0.01, 0.12, entry_count)
    right_share = draw.beta(3, 3, entry_count)
    is_right = draw.random(count) < right_share[places]
    mean = np.where(is_right, right_mean[places], wrong_mean[places])
    similarity = np.clip(draw.normal(mean, 0.025), 0, 1)
    for place, near, right in zip(places, similarity, is_right, strict=True):
        yield Request(int(place), float(near), bool(right))


@dataclass(slots=True)
class Tally:
    """What a policy did."""

    request_count: int = 0
    hit_count: int = 0
    error_count: int = 0

    @property
    def hit_ratio(self) -> float:
        """Return the share of requests served."""
        return self.hit_count / self.request_count

    @property
    def error_given_hit(self) -> float:
        """Return the share of wrong answers among those served."""
        return self.error_count / max(self.hit_count, 1)


def static(traffic: Iterator[Request], *, threshold: float) -> Tally:
    """Serve whatever is near enough."""
    tally = Tally()
    for request in traffic:
        tally.request_count += 1
        if request.similarity >= threshold:
            tally.hit_count += 1
            tally.error_count += not request.is_right
    return tally


@dataclass(slots=True)
class _Entry:
    labels: posterior.Array = field(default_factory=lambda: posterior.evidence([], []))
    label_count: int = 0

    def learn(self, request: Request) -> None:
        self.labels = self.labels + posterior.evidence([request.similarity], [request.is_right])
        self.label_count += 1


def learned(
    traffic: Iterator[Request],
    *,
    error_bound: float,
    shadow_ratio: float = 0.03,
    minimum_labels: int = 4,
    seed: int = 0,
) -> Tally:
    """Serve as the product does: posterior by entry, prior pooled again every 500 requests, some hits checked."""
    draw = np.random.default_rng(seed)
    entries: dict[int, _Entry] = {}
    prior = posterior.flat()
    tally = Tally()
    for number, request in enumerate(traffic):
        tally.request_count += 1
        if number % 500 == 0:
            prior = posterior.pooled([entry.labels for entry in entries.values()])
        entry = entries.setdefault(request.entry, _Entry())
        error = posterior.expected_error(prior, entry.labels, request.similarity)
        serves = posterior.may_serve(
            error=error,
            label_count=entry.label_count,
            error_bound=error_bound,
            minimum_labels=minimum_labels,
        )
        if serves and draw.random() >= shadow_ratio:
            tally.hit_count += 1
            tally.error_count += not request.is_right
        else:
            entry.learn(request)
    return tally
