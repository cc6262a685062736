"""The vectors of a version's passages: copied where equal text has one, computed once where it has none."""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID, uuid5

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from apps.billing.models import Purpose
from apps.billing.types import CallContext
from apps.documents import runs, vectors
from apps.documents.models import EmbeddingClaim, IngestRun, Passage, PassageEmbedding
from apps.llm import services as llm
from apps.llm.models import Route
from apps.llm.types import Choice
from apps.tuning import live

OTHERS_WORK_SECONDS: Final = 0.2

_COPY = """
INSERT INTO documents_passageembedding (passage_id, llm_model_id, content_hash, vector)
SELECT passage.id, %(llm_model_id)s, passage.content_hash, known.vector
FROM documents_passage passage
CROSS JOIN LATERAL (
    SELECT vector FROM documents_passageembedding embedding
    WHERE embedding.llm_model_id = %(llm_model_id)s AND embedding.content_hash = passage.content_hash
    LIMIT 1
) known
WHERE passage.version_id = %(version_id)s
  AND NOT EXISTS (
    SELECT 1 FROM documents_passageembedding own
    WHERE own.passage_id = passage.id AND own.llm_model_id = %(llm_model_id)s
  )
ON CONFLICT (passage_id, llm_model_id) DO NOTHING
"""


_CLAIM = """
INSERT INTO documents_embeddingclaim AS claim (run_id, llm_model_id, content_hash, expires_at)
SELECT %(run_id)s, %(llm_model_id)s, digest, now() + make_interval(secs => %(seconds)s)
FROM unnest(%(digests)s::bytea[]) AS digest
-- In one order everywhere: two runs with the same texts must not wait for each other.
ORDER BY digest
ON CONFLICT (llm_model_id, content_hash) DO UPDATE
SET run_id = excluded.run_id, expires_at = excluded.expires_at
WHERE claim.run_id = excluded.run_id OR claim.expires_at < now()
RETURNING content_hash
"""


def embed_version(run: IngestRun, *, on_batch: Callable[[], None]) -> None:
    """Give every passage of the run's version its vector, keeping the run's progress and cost.

    Raises:
        LLMError: no model, or a failed call; what was done so far stays done.
        LostRunError: another worker has the run.
    """
    choice = llm.choose(Route.Use.EMBEDDING)
    vectors.ensure_index(choice)
    while True:
        _copy_known(run, choice)
        texts = _next_texts(run, choice)
        if not texts:
            return
        mine = _claim(run, choice, list(texts))
        if not mine:
            # Another run is having them embedded: its vectors are copied in the next round.
            time.sleep(OTHERS_WORK_SECONDS)
            continue
        try:
            # Somebody else may have finished these between the look and the claim.
            todo = {digest: texts[digest] for digest in mine if not _is_known(digest, choice)}
            if todo:
                _embed_batch(run, choice, todo)
        finally:
            _release(run, choice, mine)
        on_batch()


def _claim(run: IngestRun, choice: Choice, digests: list[bytes]) -> list[bytes]:
    """Return those of the texts that are this run's to embed, until released or the lease's time has passed."""
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "run_id": run.pk,
                "llm_model_id": choice.llm_model_id,
                "digests": digests,
                "seconds": live.integer("documents.ingest_lease_seconds"),
            },
        )
        return [bytes(digest) for (digest,) in cursor.fetchall()]


def _release(run: IngestRun, choice: Choice, digests: list[bytes]) -> None:
    EmbeddingClaim.objects.filter(
        run_id=run.pk, llm_model_id=choice.llm_model_id, content_hash__in=digests
    ).delete()


def _missing(run: IngestRun, choice: Choice) -> QuerySet[Passage]:
    own = PassageEmbedding.objects.filter(passage=OuterRef("pk"), llm_model_id=choice.llm_model_id)
    return Passage.objects.filter(~Exists(own), version_id=run.version_id)


def _next_texts(run: IngestRun, choice: Choice) -> dict[bytes, str]:
    """Return the next distinct texts without a vector, by their digest, in the document's order."""
    size = live.integer("documents.embedding_batch_size")
    rows = _missing(run, choice).order_by("ordinal").values_list("content_hash", "text")[: size * 2]
    texts = {bytes(digest): text for digest, text in rows}
    return dict(list(texts.items())[:size])


def _is_known(digest: bytes, choice: Choice) -> bool:
    return PassageEmbedding.objects.filter(
        llm_model_id=choice.llm_model_id, content_hash=digest
    ).exists()


def _copy_known(run: IngestRun, choice: Choice) -> None:
    with transaction.atomic():
        runs.keep(run)
        with connection.cursor() as cursor:
            cursor.execute(
                _COPY, {"llm_model_id": choice.llm_model_id, "version_id": run.version_id}
            )
            copied = cursor.rowcount
        runs.keep(
            run,
            done_count=F("done_count") + copied,
            step_start_count=F("step_start_count") + copied,
        )


def _embed_batch(run: IngestRun, choice: Choice, texts: dict[bytes, str]) -> None:
    digests = list(texts)
    embeddings = llm.embed(
        texts=list(texts.values()),
        context=CallContext(
            # The same batch in another attempt is the same request: nothing is asked for twice under one number.
            request_id=uuid5(run.pk, hashlib.sha256(b"".join(digests)).hexdigest()),
            department_id=run.document.paying_department_id,
            purpose=Purpose.DOCUMENT_EMBEDDING,
            user_id=run.document.owner_id,
            attempt=run.attempt_count,
            product="documents",
        ),
        choice=choice,
    )
    vector_of = dict(zip(digests, embeddings.vectors, strict=True))
    cost_nanos = sum(settled.amount_nanos for settled in embeddings.settled)
    with transaction.atomic():
        # The cost is the run's whoever stores the result; the vectors are written by its holder.
        IngestRun.objects.filter(pk=run.pk).update(cost_nanos=F("cost_nanos") + cost_nanos)
    with transaction.atomic():
        runs.keep(run)
        made = _store(_passages_of(run, choice, digests), vector_of, choice.llm_model_id)
        runs.keep(run, done_count=F("done_count") + made)


def _passages_of(run: IngestRun, choice: Choice, digests: Sequence[bytes]) -> QuerySet[Passage]:
    return _missing(run, choice).filter(content_hash__in=digests)


def _store(passages: QuerySet[Passage], vector_of: dict[bytes, object], llm_model_id: UUID) -> int:
    made = PassageEmbedding.objects.bulk_create(
        PassageEmbedding(
            passage_id=passage_id,
            llm_model_id=llm_model_id,
            content_hash=bytes(digest),
            vector=vector_of[bytes(digest)],
        )
        for passage_id, digest in passages.values_list("pk", "content_hash")
    )
    return len(made)
