"""The semantic answer cache: a question that means the same as one answered before, within the same scope.

It serves only where the signs of both questions agree and the entry's own labels, with what all entries have taught,
bound the probability of a wrong answer (`posterior`). What it does not serve, it learns from.
"""

import json
import random
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray
from pgvector import HalfVector

from apps.caching import access, keyspaces, policies
from apps.caching.outcomes import Level
from apps.chat.answers import labels, posterior, signs
from apps.chat.cache import ANSWER_SEMANTIC
from apps.chat.types import AnswerKey, Candidate, Keeping, KeptAnswer
from apps.tuning import live

# Distances are computed to each entry of one scope and context, the latest of these: 2,000 halfvecs of 384 numbers
# take about 2 ms. An approximate index over all scopes would find others' entries and lose one's own.
SCANNED = 2000
# Of the nearest, so many are looked at for agreeing signs.
LOOKED_AT = 10

# The versions are compared in the same query: an entry whose document changed is not even a candidate.
_NEAREST = """
    WITH own AS (
        SELECT id, question_hash, question, answer, document_ids, version_ids, vector
        FROM chat_cachedanswer
        WHERE scope_hash = %(scope)s AND context_hash = %(context)s AND llm_model_id = %(model)s
            AND quarantined_at IS NULL AND vector IS NOT NULL AND created_at > %(since)s AND epoch = %(epoch)s
        ORDER BY created_at DESC
        LIMIT %(scanned)s
    ), nearest AS MATERIALIZED (
        SELECT *, 1 - (vector <=> %(vector)s::halfvec) AS similarity
        FROM own
        ORDER BY vector <=> %(vector)s::halfvec
        LIMIT %(looked_at)s
    )
    SELECT id, question_hash, question, answer, similarity
    FROM nearest
    WHERE similarity >= %(floor)s AND NOT EXISTS (
        SELECT FROM unnest(document_ids, version_ids) AS ground (document_id, version_id)
        LEFT JOIN documents_document d ON d.id = ground.document_id
            AND d.active_version_id = ground.version_id AND d.audience_id = ANY (%(audiences)s::bigint[])
        WHERE d.id IS NULL)
    ORDER BY similarity DESC
"""


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest entry whose signs agree, and whether it may serve; `error` is the expected share of wrong answers."""

    candidate: Candidate
    serves: bool
    error: float


def looks_up(question: str) -> bool:
    """Say whether an earlier answer is looked for to such a question."""
    return policies.of(ANSWER_SEMANTIC).is_enabled and not signs.must_be_computed(question)


def look_up(keeping: Keeping, vector: NDArray[np.float32], llm_model_id: UUID) -> Found | None:
    """Return the entry nearest to a question, None where there is none to speak of or signs forbid any."""
    if not looks_up(keeping.question):
        return None
    started = time.perf_counter()
    found = _nearest_agreeing(keeping, vector, llm_model_id)
    if found is None or not found.serves:
        _note(keeping.key, Level.MISS, started, None)
    return found


def note_hit(candidate: Candidate, started: float) -> None:
    """Tell the access log that an answer was given; `started` by `time.perf_counter`."""
    _note(candidate.key, Level.L2, started, candidate.answer)


def _note(key: AnswerKey, level: Level, started: float, answer: KeptAnswer | None) -> None:
    digest = keyspaces.digest(ANSWER_SEMANTIC, key.as_tuple())
    elapsed_us = (time.perf_counter() - started) * 1_000_000
    cost_us = answer.total_ms * 1000 if answer else 0
    access.note(
        ANSWER_SEMANTIC, digest, level, elapsed_us, cost_us, answer.amount_nanos if answer else 0
    )


def _nearest_agreeing(
    keeping: Keeping, vector: NDArray[np.float32], llm_model_id: UUID
) -> Found | None:
    asked = signs.signs_of(keeping.question)
    for entry_id, question_hash, question, data, similarity in _nearest(
        keeping, vector, llm_model_id
    ):
        answer = KeptAnswer.from_json(json.loads(data) if isinstance(data, str) else data)
        if signs.agree(asked, signs.signs_of(question, answer.text)):
            key = AnswerKey(keeping.key.scope, keeping.key.context, question_hash)
            return _judged(Candidate(entry_id, key, answer, float(similarity)), llm_model_id)
    return None


def _nearest(
    keeping: Keeping, vector: NDArray[np.float32], llm_model_id: UUID
) -> list[tuple[UUID, str, str, Any, float]]:
    policy = policies.of(ANSWER_SEMANTIC)
    with connection.cursor() as cursor:
        cursor.execute(
            _NEAREST,
            {
                "scope": keeping.key.scope,
                "context": keeping.key.context,
                "model": llm_model_id,
                "since": timezone.now() - timedelta(seconds=policy.ttl_seconds),
                "epoch": policy.epoch,
                "scanned": SCANNED,
                "looked_at": LOOKED_AT,
                "vector": HalfVector(vector).to_text(),
                "floor": live.number("chat.semantic_similarity_floor"),
                "audiences": list(keeping.scope.audience_ids),
            },
        )
        rows: list[tuple[UUID, str, str, Any, float]] = cursor.fetchall()
    return rows


def _judged(candidate: Candidate, llm_model_id: UUID) -> Found:
    """Decide whether an entry may serve: its own labels and the prior bound the error, and chance checks some hits."""
    evidence, label_count = labels.of_entry(candidate.entry_id)
    error = posterior.expected_error(labels.prior(llm_model_id), evidence, candidate.similarity)
    may = posterior.may_serve(
        error=error,
        label_count=label_count,
        error_bound=live.number("chat.semantic_error_bound"),
        minimum_labels=live.integer("chat.semantic_minimum_labels"),
    )
    is_shadow = may and random.random() < live.number("chat.semantic_shadow_ratio")  # noqa: S311 - no secret
    return Found(replace(candidate, is_shadow=is_shadow), serves=may and not is_shadow, error=error)
