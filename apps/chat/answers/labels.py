"""What is known of each entry: the labels, and the prior they make together."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import numpy as np
from django.contrib.postgres.aggregates import ArrayAgg
from django.utils import timezone

from apps.caching import store
from apps.chat.answers import posterior
from apps.chat.cache import ANSWER_PRIOR
from apps.chat.models import AnswerLabel

# The latest labels of an entry tell enough: with 200 the posterior has long settled.
ENTRY_LABELS = 200
# Of all entries together; 20,000 labels make a prior in some hundred milliseconds.
PRIOR_LABELS = 20_000
KEPT_FOR = timedelta(days=90)


def of_entry(entry_id: UUID) -> tuple[posterior.Array, int]:
    """Return the evidence of an entry's labels, and how many they are."""
    rows = AnswerLabel.objects.filter(entry_id=entry_id).order_by("-created_at")[:ENTRY_LABELS]
    labels = list(rows.values_list("similarity", "is_correct"))
    similarities = [similarity for similarity, _is_correct in labels]
    return posterior.evidence(
        similarities, [is_correct for _similarity, is_correct in labels]
    ), len(labels)


def prior(llm_model_id: UUID) -> posterior.Array:
    """Return the prior of this embedding model's similarities, at most a minute old."""

    def compute() -> tuple[float, ...]:
        # A millionth is exact enough, and half the bytes.
        return tuple(round(float(weight), 7) for weight in _pooled(llm_model_id))

    weights: posterior.Array = np.array(
        store.get_or_compute(ANSWER_PRIOR, (llm_model_id,), compute)
    )
    total: float = weights.sum()
    return weights / total


def _pooled(llm_model_id: UUID) -> posterior.Array:
    latest = (
        AnswerLabel.objects.filter(llm_model_id=llm_model_id)
        .order_by("-created_at")
        .values("pk")[:PRIOR_LABELS]
    )
    entries: Sequence[tuple[list[float], list[bool]]] = list(
        AnswerLabel.objects.filter(pk__in=latest)
        .values("entry_id")
        .annotate(
            similarities=ArrayAgg("similarity", order_by="pk"),
            rights=ArrayAgg("is_correct", order_by="pk"),
        )
        .values_list("similarities", "rights")
    )
    return posterior.pooled([posterior.evidence(*entry) for entry in entries])


def add(
    *, entry_id: UUID, llm_model_id: UUID, similarity: float, is_correct: bool, source: str
) -> None:
    """Keep a label."""
    AnswerLabel.objects.create(
        entry_id=entry_id,
        llm_model_id=llm_model_id,
        similarity=similarity,
        is_correct=is_correct,
        source=source,
    )


def remove_old() -> int:
    """Delete the labels of another age; return how many."""
    return AnswerLabel.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]
