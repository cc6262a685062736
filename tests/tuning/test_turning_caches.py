"""The parameters of the caches act while everything runs: memory, access log, and answers that are given again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray

from apps.accounts.access import Scope
from apps.caching import keyspaces, partitions, policies
from apps.caching.flusher import Buffer, Flusher
from apps.caching.models import AccessLog
from apps.caching.outcomes import Level
from apps.chat.answers import semantic
from apps.chat.models import AnswerLabel, CachedAnswer
from apps.chat.types import AnswerKey, Keeping, KeptAnswer
from tests.tuning.turning import turns

pytestmark = pytest.mark.django_db

Turn = Callable[[str, Any], None]
MODEL = UUID(int=1)
ALONG = np.array([1, 0], dtype=np.float32)


@turns("caching.l1_entries")
def test_a_process_keeps_as_many_entries_as_are_set(turn: Turn) -> None:
    in_memory = next(one for one in keyspaces.everything() if policies.of(one).l1_limit > 1)
    before = policies.of(in_memory).l1_limit
    turn("caching.l1_entries", 40_000)
    assert policies.of(in_memory).l1_limit == before * 2


@pytest.mark.django_db(transaction=True)
@turns("caching.access_log_rows_per_second")
def test_the_access_log_takes_as_many_rows_as_are_set(turn: Turn) -> None:
    buffer = Buffer(10_000)
    flusher = Flusher(buffer, interval_seconds=1.0)
    at = datetime(2026, 3, 1, tzinfo=UTC).timestamp()

    def flush_a_thousand() -> int:
        before = AccessLog.objects.count()
        for number in range(1000):
            digest = f"{(number * 0x9E3779B97F4A7C15) % 2**64:016x}{'0' * 16}"
            buffer.accesses.append(("chat:answer:1", digest, Level.L1, at, 2.0, 90.0, 0))
        flusher.flush()
        return AccessLog.objects.count() - before

    turn("caching.access_log_rows_per_second", 400)
    flusher.flush()
    many = flush_a_thousand()
    turn("caching.access_log_rows_per_second", 20)
    flush_a_thousand()
    assert 0 < flush_a_thousand() <= 20 < many


@turns("caching.access_log_days", "caching.figures_days")
@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("caching.access_log_days", "caching_accesslog"),
        ("caching.figures_days", "caching_accessminute"),
    ],
)
def test_days_are_kept_as_long_as_is_set(turn: Turn, name: str, table: str) -> None:
    today = datetime(2031, 5, 10, 13, tzinfo=UTC)
    partitions.keep(at=today)
    later = today + timedelta(days=5)
    partitions.keep(at=later)
    assert f"{table}_2031_05_10" in partition_names(table)
    turn(name, 2)
    partitions.keep(at=later)
    kept = partition_names(table)
    assert f"{table}_2031_05_13" not in kept
    assert f"{table}_2031_05_15" in kept


def partition_names(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            [table],
        )
        return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def kept_answer() -> CachedAnswer:
    """An answer that was right for ten questions like its own."""
    answer = KeptAnswer("", "28 days.", (), (), "m", "p", 1, 0, 10.0, timezone.now().isoformat())
    entry = CachedAnswer.objects.create(
        scope_hash="s",
        context_hash="c",
        question_hash="q",
        question="How much annual leave is there?",
        llm_model_id=MODEL,
        vector=ALONG,
        answer=answer.to_json(),
        document_ids=[],
        version_ids=[],
    )
    AnswerLabel.objects.bulk_create(
        AnswerLabel(
            entry_id=entry.pk,
            llm_model_id=MODEL,
            similarity=0.9,
            is_correct=True,
            source=AnswerLabel.Source.MISS,
        )
        for _label in range(10)
    )
    return entry


def asked(vector: NDArray[np.float32]) -> semantic.Found | None:
    keeping = Keeping(
        AnswerKey("s", "c", "other"), Scope(pairs=()), "How much annual leave do we have?"
    )
    return semantic.look_up(keeping, vector, MODEL)


@turns("chat.semantic_error_bound", "chat.semantic_minimum_labels", "chat.semantic_shadow_ratio")
@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("chat.semantic_error_bound", 0.0),
        ("chat.semantic_minimum_labels", 11),
        ("chat.semantic_shadow_ratio", 1.0),
    ],
)
def test_an_answer_is_given_again_or_not_as_is_set(
    kept_answer: CachedAnswer, turn: Turn, name: str, closed: float
) -> None:
    turn("chat.semantic_error_bound", 0.5)
    turn("chat.semantic_shadow_ratio", 0.0)
    found = asked(ALONG)
    assert found
    assert found.serves
    turn(name, closed)
    found = asked(ALONG)
    assert found
    assert not found.serves


@turns("chat.semantic_similarity_floor")
def test_less_similar_questions_are_not_compared(kept_answer: CachedAnswer, turn: Turn) -> None:
    near = np.array([0.9, 0.4], dtype=np.float32)
    assert asked(near)
    turn("chat.semantic_similarity_floor", 0.95)
    assert asked(near) is None
