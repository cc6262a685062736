"""Each index of the kept answers is used by the query it is there for, by the planner's own choice."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.access import Scope
from apps.chat.answers import keep, labels, semantic
from apps.chat.models import CachedAnswer
from apps.chat.types import AnswerKey, Keeping

pytestmark = pytest.mark.django_db

ROWS = 20_000
SCOPES = 200
MODEL = UUID("00000000-0000-7000-8000-000000000001")

# Row n belongs to scope n % 200.
SEED = """
INSERT INTO chat_cachedanswer (id, scope_hash, context_hash, question_hash, question, llm_model_id, vector, answer,
    document_ids, version_ids, epoch, created_at, hit_count, expected_errors)
SELECT gen_random_uuid(), md5((n %% %(scopes)s)::text), md5('context'), md5(n::text), 'question', %(model)s,
    ARRAY[1, n %% 7, 0, 0, 0, 0, 0, 0]::real[]::halfvec, '{}', '{}', '{}', 0, now() - n * interval '1 second', 0, 0
FROM generate_series(1, %(rows)s) n;
INSERT INTO chat_answerlabel (entry_id, llm_model_id, similarity, is_correct, source, created_at)
SELECT (SELECT id FROM chat_cachedanswer WHERE question_hash = md5((1 + n %% 5000)::text) AND n > 0), %(model)s, 0.9,
    true, 'MISS', now() - n * interval '1 minute'
FROM generate_series(1, 5000) n;
ANALYZE chat_cachedanswer;
ANALYZE chat_answerlabel;
"""


@pytest.fixture(autouse=True)
def _many_rows(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX seed ON chat_cachedanswer (question_hash)")
        cursor.execute(SEED, {"scopes": SCOPES, "model": MODEL, "rows": ROWS})
        cursor.execute("DROP INDEX seed")


def indexes_of(statement: str, values: Any = None) -> set[str]:
    """Return the indexes a statement's plan uses."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
        [[plan]] = cursor.fetchone()
    found: set[str] = set()

    def walk(node: dict[str, Any]) -> None:
        if "Index Name" in node:
            found.add(node["Index Name"])
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan["Plan"])
    return found


def statements(call: Any, table: str) -> list[str]:
    """Return what a call asks of a table."""
    with CaptureQueriesContext(connection) as captured:
        call()
    return [query["sql"] for query in captured if table in query["sql"]]


def test_the_nearest_entry_is_looked_for_within_its_scope_alone() -> None:
    entry = CachedAnswer.objects.order_by("created_at").first()
    assert entry is not None
    key = AnswerKey(entry.scope_hash, entry.context_hash, "")
    keeping = Keeping(key, Scope(()), "How many days?")
    vector = np.eye(8, dtype=np.float32)[0]
    [statement] = statements(lambda: semantic._nearest(keeping, vector, MODEL), "chat_cachedanswer")
    assert indexes_of(statement) & {"answer_nearest", "answer_kept_once"}


def test_an_entry_is_found_by_its_key() -> None:
    entry = CachedAnswer.objects.order_by("created_at").first()
    assert entry is not None
    found = CachedAnswer.objects.filter(
        scope_hash=entry.scope_hash,
        context_hash=entry.context_hash,
        question_hash=entry.question_hash,
    )
    assert indexes_of(*found.query.sql_with_params()) == {"answer_kept_once"}


def test_old_entries_are_found_by_their_age() -> None:
    before = timezone.now() - timedelta(seconds=ROWS - 100)
    CachedAnswer.objects.filter(created_at__lt=before).update(
        created_at=timezone.now() - timedelta(days=2)
    )
    removing = statements(keep.remove_old, "chat_cachedanswer")
    assert any(
        "answer_created" in indexes_of(one)
        for one in removing
        if one.startswith(("SELECT", "DELETE"))
    )


def test_labels_are_found_by_entry_and_by_age() -> None:
    entry = CachedAnswer.objects.order_by("-created_at").first()
    assert entry is not None
    [of_entry] = statements(lambda: labels.of_entry(entry.pk), "chat_answerlabel")
    assert indexes_of(of_entry) == {"answer_label_entry"}
    [old] = statements(labels.remove_old, "chat_answerlabel")
    assert "answer_label_created" in indexes_of(old)
