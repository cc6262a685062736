"""What the answer caches have done, for their page in the admin: hits, labels, and the errors among the hits."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum

from apps.caching import figures
from apps.caching.figures import Reads
from apps.chat.answers.intervals import clopper_pearson
from apps.chat.cache import ANSWER, ANSWER_SEMANTIC
from apps.chat.models import AnswerLabel, CachedAnswer
from apps.tuning import live


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of both answer caches.

    `expected_error` is the mean probability of a wrong answer, as estimated at each hit by meaning; None without hits.
    `measured_error` is the share of wrong answers among the `shadow_count` hits that were checked, and `interval` its
    exact 95 % interval.
    """

    exact: Reads
    semantic: Reads
    entry_count: int
    withdrawn_count: int
    label_count: int
    thumb_count: int
    shadow_count: int
    shadow_wrong_count: int
    expected_error: float | None
    interval: tuple[float, float]
    error_bound: float
    minimum_labels: int
    shadow_ratio: float

    @property
    def measured_error(self) -> float | None:
        """Return the share of wrong answers among the checked hits, None where none was checked."""
        return self.shadow_wrong_count / self.shadow_count if self.shadow_count else None

    @property
    def is_within_bound(self) -> bool | None:
        """Say whether the checked hits prove the bound kept (True) or broken (False); None: too few to tell."""
        low, high = self.interval
        if high <= self.error_bound:
            return True
        return False if low > self.error_bound else None


def report(*, now: datetime) -> Report:
    """Return the figures of the last day's reads, and of the labels and entries there are; three queries."""
    reads = figures.overview(now=now)
    entries = CachedAnswer.objects.aggregate(
        kept=Count("pk", filter=Q(quarantined_at__isnull=True)),
        withdrawn=Count("pk", filter=Q(quarantined_at__isnull=False)),
        hits=Sum("hit_count"),
        errors=Sum("expected_errors"),
    )
    source = AnswerLabel.Source
    labels = AnswerLabel.objects.aggregate(
        all=Count("pk"),
        thumbs=Count("pk", filter=Q(source=source.THUMB)),
        checked=Count("pk", filter=Q(source=source.SHADOW)),
        wrong=Count("pk", filter=Q(source=source.SHADOW, is_correct=False)),
    )
    nothing = {"day": Reads()}
    return Report(
        exact=reads.get(ANSWER.name, nothing)["day"],
        semantic=reads.get(ANSWER_SEMANTIC.name, nothing)["day"],
        entry_count=entries["kept"],
        withdrawn_count=entries["withdrawn"],
        label_count=labels["all"],
        thumb_count=labels["thumbs"],
        shadow_count=labels["checked"],
        shadow_wrong_count=labels["wrong"],
        expected_error=entries["errors"] / entries["hits"] if entries["hits"] else None,
        interval=clopper_pearson(labels["wrong"], labels["checked"]),
        error_bound=live.number("chat.semantic_error_bound"),
        minimum_labels=live.integer("chat.semantic_minimum_labels"),
        shadow_ratio=live.number("chat.semantic_shadow_ratio"),
    )
