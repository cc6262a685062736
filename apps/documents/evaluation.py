"""Measures search on a judged collection, in tables that only its own transaction ever sees."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any, Final

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from apps.core.ids import uuid7
from apps.documents import lexical, vectors
from apps.documents.judged import JudgedCollection
from apps.documents.measures import MEASURES, chance_of_difference, measure
from apps.documents.models import (
    Document,
    DocumentVersion,
    EvaluationRun,
    Passage,
    PassageEmbedding,
    Posting,
    Term,
)
from apps.documents.retrieval import Ranking, find_passages
from apps.documents.splitting import join_pages, split_passages
from apps.llm.tokens import count_embedding_tokens
from apps.llm.types import Choice

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
Scores = dict[str, NDArray[np.float64]]

# Temporary tables are found before the real ones of the same name, by the SQL functions too.
_SHADOWED: Final = (Document, DocumentVersion, Passage, PassageEmbedding, Term, Posting)
_AUDIENCE: Final = 1
_ROWS_A_STATEMENT: Final = 500
TEXT, VECTORS, FUSION, SHIPPED = ARMS = ("text", "vectors", "fusion", "shipped")


def evaluate(
    collection: JudgedCollection, *, choice: Choice, embed: Embed, ranking: Ranking
) -> EvaluationRun:
    """Run the collection's questions through search, keep and return the figures; calls `embed` first.

    Arms: text alone, vectors alone, their fusion, and the fusion as shipped (with feedback). A document counts at its
    best passage. Nothing of the collection stays, and nobody's documents mix in.
    """
    texts, document_of = _passages(collection)
    passage_vectors = embed(texts)
    questions = [key for key in collection.questions if collection.gains.get(key)]
    question_vectors = embed([collection.questions[key] for key in questions])
    with transaction.atomic():
        _shadow_tables()
        _load(texts, document_of, passage_vectors, choice)
        scores, milliseconds = _run_arms(collection, questions, question_vectors, choice, ranking)
        transaction.set_rollback(True)
    return EvaluationRun.objects.create(
        collection=collection.name,
        embedding_model=choice.model_code,
        document_count=len(collection.documents),
        passage_count=len(texts),
        question_count=len(questions),
        figures=_figures(scores, milliseconds),
        parameters=asdict(ranking),
    )


def _passages(collection: JudgedCollection) -> tuple[list[str], list[str]]:
    texts, document_of = [], []
    for key, text in collection.documents.items():
        spans = split_passages(join_pages([(1, text)]), count_tokens=count_embedding_tokens)
        texts += [text[span.start_offset : span.end_offset] for span in spans]
        document_of += [key] * len(spans)
    return texts, document_of


def _shadow_tables() -> None:
    with connection.cursor() as cursor:
        for model in _SHADOWED:
            table = model._meta.db_table
            cursor.execute(
                f"CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING ALL) ON COMMIT DROP"
            )
        # Functions used before in this session are planned for the real tables.
        cursor.execute("DISCARD PLANS")


def _load(
    texts: Sequence[str],
    document_of: Sequence[str],
    passage_vectors: NDArray[np.float32],
    choice: Choice,
) -> None:
    versions = {key: uuid7() for key in dict.fromkeys(document_of)}
    somebody = uuid7()
    Document.objects.bulk_create(
        (
            Document(
                owner_id=somebody,
                audience_id=_AUDIENCE,
                paying_department_id=somebody,
                active_version_id=version_id,
                name=key,
                size_bytes=0,
            )
            for key, version_id in versions.items()
        ),
        batch_size=_ROWS_A_STATEMENT,
    )
    documents = Document.objects.values_list("active_version_id", "pk")
    DocumentVersion.objects.bulk_create(
        (DocumentVersion(pk=version, document_id=pk, number=1) for version, pk in documents),
        batch_size=_ROWS_A_STATEMENT,
    )
    passages = Passage.objects.bulk_create(
        (
            Passage(
                version_id=versions[key],
                audience_id=_AUDIENCE,
                ordinal=ordinal,
                page_number=1,
                start_offset=0,
                end_offset=len(text),
                text=text,
                content_hash=hashlib.sha256(text.encode()).digest(),
                is_serving=True,
            )
            for key, ordinal, text in zip(document_of, _ordinals(document_of), texts, strict=True)
        ),
        batch_size=_ROWS_A_STATEMENT,
    )
    vectors.ensure_index(choice)
    PassageEmbedding.objects.bulk_create(
        (
            PassageEmbedding(
                passage=passage,
                llm_model_id=choice.llm_model_id,
                content_hash=passage.content_hash,
                vector=vector,
            )
            for passage, vector in zip(passages, passage_vectors, strict=True)
        ),
        batch_size=_ROWS_A_STATEMENT,
    )
    _analyze()
    for version_id in versions.values():
        lexical.index_version(version_id)
    with connection.cursor() as cursor:
        # The real tables' triggers, all at once: row versions of one transaction are never cleared away.
        cursor.execute(
            "UPDATE documents_term t SET passage_count = c.count "
            "FROM (SELECT term_id, count(*) FROM documents_posting GROUP BY term_id) c "
            "WHERE t.id = c.term_id"
        )
    _analyze()


def _analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE " + ", ".join(model._meta.db_table for model in _SHADOWED))


def _ordinals(document_of: Sequence[str]) -> Iterator[int]:
    """Number the passages of each document, which stand together."""
    for _key, group in groupby(document_of):
        yield from range(len(list(group)))


def _run_arms(
    collection: JudgedCollection,
    questions: Sequence[str],
    question_vectors: NDArray[np.float32],
    choice: Choice,
    ranking: Ranking,
) -> tuple[Scores, list[float]]:
    plain = replace(ranking, feedback_count=0)
    arms: Mapping[str, tuple[Ranking, bool, bool]] = {
        TEXT: (plain, True, False),
        VECTORS: (plain, False, True),
        FUSION: (plain, True, True),
        SHIPPED: (ranking, True, True),
    }
    rows: dict[str, list[tuple[float, ...]]] = {arm: [] for arm in arms}
    milliseconds = []
    for key, vector in zip(questions, question_vectors, strict=True):
        for arm, (weights, has_text, has_vector) in arms.items():
            started = time.perf_counter()
            found = find_passages(
                question=collection.questions[key] if has_text else "",
                question_vector=vector if has_vector else None,
                llm_model_id=choice.llm_model_id,
                audience_ids=[_AUDIENCE],
                document_ids=None,
                # Everything both arms found.
                passage_count=2 * ranking.candidate_count,
                ranking=weights,
            )
            if arm == SHIPPED:
                milliseconds.append((time.perf_counter() - started) * 1000)
            ranked = list(dict.fromkeys(passage.document_name for passage in found))
            rows[arm].append(measure(ranked, collection.gains[key]))
    return {arm: np.array(values) for arm, values in rows.items()}, milliseconds


def _figures(scores: Scores, milliseconds: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return the means by arm, on all questions and on each half of them (1st, 3rd … and 2nd, 4th …)."""
    figures: dict[str, dict[str, Any]] = {}
    for arm, values in scores.items():
        for name, part in (("", values), (" odd", values[::2]), (" even", values[1::2])):
            if len(part):
                figures[arm + name] = {
                    which: round(float(mean), 4)
                    for which, mean in zip(MEASURES, part.mean(axis=0), strict=True)
                }
        if arm != SHIPPED:
            figures[arm]["p_of_shipped"] = {
                which: round(chance_of_difference(scores[SHIPPED][:, at], values[:, at]), 5)
                for at, which in enumerate(MEASURES)
            }
    figures[SHIPPED]["p50_ms"] = round(float(np.percentile(milliseconds, 50)), 1)
    figures[SHIPPED]["p95_ms"] = round(float(np.percentile(milliseconds, 95)), 1)
    return figures
