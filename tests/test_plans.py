"""Every index is used by the query it is there for, at 10,000 and at 200,000 rows, by the planner's own choice.

(Usage records are in tests/billing, vectors and postings in tests/documents/test_retrieval.py.)
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services import audience_of_user, paying_department
from apps.billing.models import Reservation
from apps.caching import figures
from apps.caching.models import AccessLog
from apps.chat.models import Citation, Conversation, Feedback, Message
from apps.chat.price_range import read_samples
from apps.documents.models import (
    Document,
    DocumentVersion,
    IngestRun,
    Page,
    Passage,
    PassageEmbedding,
)
from tests.factories.accounts import UserFactory

OWNERS = 50
SOME_ID = UUID("00000000-0000-7000-8000-000000000001")

# Row n of each table has the id 0…n; rows belong to owner n % 50, and a thousandth is in a rare state.
SEED = """
CREATE FUNCTION pg_temp.key(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$;
CREATE TEMP TABLE owner_keys AS SELECT row_number() OVER () - 1 AS number, id FROM
    (SELECT id FROM accounts_user ORDER BY id LIMIT {owners}) u;

INSERT INTO documents_document (id, owner_id, audience_id, paying_department_id, name, content_type, size_bytes,
    sha256, tags, metadata, status, uploaded_at)
SELECT pg_temp.key(n), o.id, (%(audiences)s::bigint[])[1 + n %% {owners}], %(department)s, 'document ' || md5(n::text),
    CASE WHEN n %% 100 = 0 THEN 'text/csv' ELSE 'application/pdf' END, 1000, md5(n::text) || md5('x' || n),
    ARRAY['tag' || n %% 2000]::varchar[], jsonb_build_object('author', 'author ' || n %% 2000),
    CASE WHEN n %% 1000 = 0 THEN 'FAILED' ELSE 'READY' END, now() - n * interval '1 minute'
FROM generate_series(1, {rows}) n JOIN owner_keys o ON o.number = n %% {owners};

INSERT INTO documents_documentversion (id, document_id, number, page_count, character_count, created_at)
SELECT pg_temp.key(n), pg_temp.key(n), 1, 1, 10, now() FROM generate_series(1, {rows}) n;
INSERT INTO documents_page (version_id, number, start_offset, text)
SELECT pg_temp.key(n), 1, 0, 'text' FROM generate_series(1, {rows}) n;
INSERT INTO documents_passage (version_id, audience_id, ordinal, page_number, start_offset, end_offset, text,
    content_hash, is_serving)
SELECT pg_temp.key(n), (%(audiences)s::bigint[])[1 + n %% {owners}], 0, 1, 0, 4, 'text', sha256(n::text::bytea), true
FROM generate_series(1, {rows}) n;
INSERT INTO documents_passageembedding (passage_id, llm_model_id, content_hash, vector)
SELECT id, pg_temp.key(1), content_hash, '[1,0]'::halfvec FROM documents_passage;

INSERT INTO documents_ingestrun (id, document_id, version_id, state, step, done_count, total_count, cost_nanos,
    attempt_count, attempt_limit, step_start_count, error_code, error_detail, created_at, lease_expires_at)
SELECT pg_temp.key(n), pg_temp.key(n), pg_temp.key(n), CASE WHEN n %% 1000 = 0 THEN 'RUNNING' ELSE 'DONE' END,
    'EMBED', 0, 0, 0, 1, 5, 0, '', '', now() - n * interval '1 minute', now()
FROM generate_series(1, {rows}) n;

INSERT INTO chat_conversation (id, user_id, paying_department_id, title, sources, cost_tags, is_archived, created_at,
    updated_at)
SELECT pg_temp.key(n), o.id, %(department)s, 'title ' || md5(n::text), 'ALL', '{{}}', n %% 10 = 0, now(),
    now() - n * interval '1 minute'
FROM generate_series(1, {rows}) n JOIN owner_keys o ON o.number = n %% {owners};
INSERT INTO chat_message (id, conversation_id, parent_id, role, state, content, error_code, idempotency_key,
    created_at, lease_expires_at)
SELECT pg_temp.key(n), pg_temp.key(1 + n / 20), CASE WHEN n > 1 THEN pg_temp.key(n - 1) END, 'ASSISTANT',
    CASE WHEN n %% 1000 = 0 THEN 'RUNNING' ELSE 'DONE' END, 'text ' || md5(n::text), '', pg_temp.key(n),
    now() - n * interval '1 second', now()
FROM generate_series(1, {rows}) n;
INSERT INTO chat_citation (message_id, number, document_name, page_number, start_offset, end_offset)
SELECT pg_temp.key(n), 1, 'name', 1, 0, 4 FROM generate_series(1, {rows}) n;
INSERT INTO chat_feedback (message_id, is_positive, reason, comment, created_at)
SELECT pg_temp.key(n), n %% 1000 <> 0, '', '', now() - n * interval '1 second' FROM generate_series(1, {rows}) n;

INSERT INTO billing_reservation (id, request_id, attempt, department_id, product, tags, purpose, provider_code,
    model_code, max_nanos, max_input_tokens, max_output_tokens, input_meter, output_meter, period_ids, state,
    is_rolled_up, created_at, expires_at)
SELECT pg_temp.key(n), pg_temp.key(n), 1, %(department)s, 'chat', '{{}}', 'ANSWER', 'p', 'm', 0, 0, 0, 'INPUT', 'OUTPUT',
    '{{}}', CASE WHEN n %% 1000 = 0 THEN 'OPEN' ELSE 'SETTLED' END, n %% 500 <> 1, now(), now() - n * interval '1 second'
FROM generate_series(1, {rows}) n;

INSERT INTO caching_accesslog (at, keyspace, key_hash, level, elapsed_us, cost_us, cost_nanos, sampling_ratio)
SELECT date_trunc('day', now()) + n * interval '86000 seconds' / {rows}, 'keyspace ' || n %% 14, n, 1, 3, 1000, 0, 1
FROM generate_series(1, {rows}) n;
INSERT INTO caching_accessminute (keyspace, minute, level, bucket, read_count, elapsed_us, saved_us, saved_nanos)
SELECT 'keyspace ' || n %% 14, date_trunc('day', now()) + (n / 200) * interval '86400 seconds' * 200 / {rows}, 1, n %% 200,
    1, 1, 1, 1
FROM generate_series(0, {rows} - 1) n;
"""
# Entries of a GIN index wait in a list that each scan reads whole; how long it is hangs on the tests run before.
CLEAN = """
SELECT gin_clean_pending_list(index.oid) FROM pg_class AS index JOIN pg_am ON pg_am.oid = index.relam
WHERE pg_am.amname = 'gin' AND index.relkind = 'i' AND index.relname LIKE 'document%'
"""
TABLES = (
    "documents_document", "documents_documentversion", "documents_page", "documents_passage",
    "documents_passageembedding", "documents_ingestrun", "chat_conversation", "chat_message", "chat_citation",
    "chat_feedback", "billing_reservation", "caching_accesslog", "caching_accessminute",
)  # fmt: skip


@pytest.fixture(scope="module", params=[10_000, 200_000])
def someone(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[User]:
    """One of fifty owners of this many rows in every table."""
    from django.db import transaction

    with django_db_blocker.unblock(), transaction.atomic():
        owners = sorted((UserFactory() for _number in range(OWNERS)), key=lambda one: one.pk)
        values = {
            "audiences": [audience_of_user(one).pk for one in owners],
            "department": paying_department(owners[0]).pk,
        }
        with connection.cursor() as cursor:
            # Two million checks of foreign keys that are right by construction would take a minute.
            cursor.execute("SET LOCAL session_replication_role = replica")
            # Some millions of rows take as long as the machine is busy.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(SEED.format(rows=request.param, owners=OWNERS), values)
            cursor.execute(CLEAN)
            for table in TABLES:
                cursor.execute(f"ANALYZE {table}")
        yield owners[7]
        transaction.set_rollback(True)


def indexes(query: QuerySet[Any]) -> set[str]:
    """Return the names of the indexes in the plan the planner chooses."""
    found: set[str] = set()

    def collect(node: dict[str, Any]) -> None:
        found.update({node["Index Name"]} if "Index Name" in node else ())
        for child in node.get("Plans", ()):
            collect(child)

    sql, values = query.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
        [(plan,)] = cursor.fetchall()
    collect((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
    return found


def of_today(table: str, index: str) -> str:
    """Return the name an index has in today's partition."""
    return f"{table}_{timezone.now():%Y_%m_%d}_{index}"


def queries(user: User) -> dict[str, QuerySet[Any]]:
    """The query each index is there for."""
    hour_ago = timezone.now() - timedelta(hours=1)
    audience = audience_of_user(user)
    mine = Document.objects.filter(owner=user)
    noon = timezone.now().replace(hour=12, minute=0)
    return {
        "conversation_current": Conversation.objects.visible_to(user).current()[:30],
        "conversation_archived": Conversation.objects.visible_to(user).archived()[:30],
        "message_conversation": Message.objects.filter(conversation_id=SOME_ID).order_by(
            "created_at"
        ),
        "message_unfinished": Message.objects.filter(
            state__in=("PENDING", "RUNNING"), lease_expires_at__lt=timezone.now()
        ),
        "message_posted_once": Message.objects.filter(idempotency_key=SOME_ID),
        "chat_message_parent_id": Message.objects.filter(parent_id=SOME_ID),
        "citation_number_once": Citation.objects.filter(message_id=SOME_ID),
        "feedback_negative": Feedback.objects.filter(is_positive=False).order_by("-created_at")[
            :20
        ],
        "document_owner_status": mine.filter(status="FAILED"),
        "document_owner_type": mine.filter(content_type="text/csv"),
        "document_owner_uploaded": mine.order_by("-uploaded_at")[:20],
        "document_audience_uploaded": Document.objects.filter(audience=audience).order_by(
            "-uploaded_at", "-id"
        )[:50],
        "document_sha256": Document.objects.filter(sha256="ab" * 32),
        "document_metadata": Document.objects.filter(metadata__contains={"author": "author 7"}),
        "document_tags": Document.objects.filter(tags__contains=["tag7"]),
        "document_name_trigrams": Document.objects.filter(name__icontains="c4ca4238a0b9"),
        "version_number_once": DocumentVersion.objects.filter(document_id=SOME_ID),
        "page_number_once": Page.objects.filter(version_id=SOME_ID).order_by("number"),
        "passage_ordinal_once": Passage.objects.filter(version_id=SOME_ID).order_by("ordinal"),
        "embedding_once": PassageEmbedding.objects.filter(passage_id=7, llm_model_id=SOME_ID),
        "embedding_content": PassageEmbedding.objects.filter(
            llm_model_id=SOME_ID, content_hash=b"x"
        ),
        "run_document_created": IngestRun.objects.filter(document_id=SOME_ID).order_by(
            "-created_at"
        )[:1],
        "unfinished": IngestRun.objects.filter(
            state__in=("WAITING", "RUNNING"), lease_expires_at__lt=hour_ago
        ),
        of_today("caching_accesslog", "at_idx"): AccessLog.objects.filter(
            at__gte=noon, at__lt=noon + timedelta(minutes=1)
        ),
        of_today("caching_accessminute", "pkey"): figures.bucket_sums(
            "keyspace 7", now=noon, span=timedelta(minutes=5)
        ),
        "reservation_once": Reservation.objects.filter(request_id=SOME_ID, attempt=1),
        "reservation_open_expiry": Reservation.objects.filter(
            state="OPEN", expires_at__lt=hour_ago
        ),
        "reservation_void": Reservation.objects.filter(state="VOID").order_by("-pk")[:100],
    }


@pytest.mark.django_db
def test_the_planner_chooses_the_index(someone: User) -> None:
    chosen = {name: indexes(query) for name, query in queries(someone).items()}
    passed_by = {
        name: used for name, used in chosen.items() if not any(name in one for one in used)
    }
    assert not passed_by


@pytest.mark.django_db
def test_what_answers_took_is_read_by_their_ids_from_the_newest(someone: User) -> None:
    with CaptureQueriesContext(connection) as captured:
        read_samples("model", "provider")
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + captured[0]["sql"].replace("%", "%%"))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan Backward using chat_message_pkey" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
