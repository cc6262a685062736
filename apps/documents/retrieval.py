"""Search over passages: what a person may read, found by words and by meaning. Ranking is SQL (sql/search_v1.sql)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from pgvector import HalfVector

from apps.accounts.models import Audience, User
from apps.billing.types import CallContext
from apps.documents.types import FoundPassage, Retrieval
from apps.llm import services as llm
from apps.llm.models import Route
from apps.tuning import live

DEFAULT_PASSAGE_COUNT = 8

# The last condition repeats the function's own: a text leaves the database for its readers only.
_SEARCH = """
    SELECT s.passage_id, d.id, v.id, d.name, p.page_number, p.start_offset, p.end_offset, p.text,
           s.score, s.text_rank, s.vector_rank, coalesce(s.similarity, 0)
    FROM documents_search_v1(
        %(question)s, %(vector)s::halfvec, %(model)s::uuid, %(audiences)s::bigint[], %(documents)s::uuid[],
        %(wanted)s, %(candidate_count)s, %(postings_budget)s, %(exact_scan_limit)s,
        %(vector_weight)s, %(feedback_count)s, %(feedback_weight)s) s
    JOIN documents_passage p ON p.id = s.passage_id
    JOIN documents_documentversion v ON v.id = p.version_id
    JOIN documents_document d ON d.id = v.document_id
    WHERE d.audience_id = ANY (%(audiences)s::bigint[])
    ORDER BY s.score DESC, s.passage_id
"""


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a search weighs and bounds its work; the meaning of each is told in parameters.py."""

    candidate_count: int
    postings_budget: int
    exact_scan_limit: int
    vector_weight: float
    feedback_count: int
    feedback_weight: float

    @classmethod
    def live(cls) -> "Ranking":
        """Return what the operators have set."""
        return cls(
            candidate_count=live.integer("documents.retrieval_candidate_count"),
            postings_budget=live.integer("documents.retrieval_postings_budget"),
            exact_scan_limit=live.integer("documents.retrieval_exact_scan_passages"),
            vector_weight=live.number("documents.retrieval_vector_weight"),
            feedback_count=live.integer("documents.retrieval_feedback_count"),
            feedback_weight=live.number("documents.retrieval_feedback_weight"),
        )


def search(
    *,
    user: User,
    question: str,
    context: CallContext,
    document_ids: Sequence[UUID] | None = None,
    passage_count: int = DEFAULT_PASSAGE_COUNT,
) -> Retrieval:
    """Return the passages the person may read that fit the question best; calls the embedding model.

    `document_ids` narrows the search to these documents; None searches all.

    Raises:
        NoModelError, ProviderError: the question could not be embedded.
    """
    choice = llm.choose(Route.Use.EMBEDDING)
    embeddings = llm.embed(texts=[question], context=context, choice=choice)
    audience_ids = list(Audience.objects.readable_by(user).values_list("pk", flat=True))
    passages = find_passages(
        question=question,
        question_vector=embeddings.vectors[0],
        llm_model_id=choice.llm_model_id,
        audience_ids=audience_ids,
        document_ids=document_ids,
        passage_count=passage_count,
        ranking=Ranking.live(),
    )
    cost_nanos = sum(settled.amount_nanos for settled in embeddings.settled)
    return Retrieval(passages, embeddings.vectors[0], cost_nanos)


def find_passages(
    *,
    question: str,
    question_vector: NDArray[np.float32] | None,
    llm_model_id: UUID,
    audience_ids: Sequence[int],
    document_ids: Sequence[UUID] | None,
    passage_count: int,
    ranking: Ranking,
) -> list[FoundPassage]:
    """Return passages of these audiences, best first; without a vector by words only, without words by vector."""
    values = {
        "question": question,
        "vector": None if question_vector is None else HalfVector(question_vector).to_text(),
        "model": llm_model_id,
        "audiences": list(audience_ids),
        "documents": None if document_ids is None else list(document_ids),
        "wanted": passage_count,
        # Whoever asks for many gets them: each arm passes on at least so many.
        "candidate_count": max(ranking.candidate_count, passage_count),
        "postings_budget": ranking.postings_budget,
        "exact_scan_limit": ranking.exact_scan_limit,
        "vector_weight": ranking.vector_weight,
        "feedback_count": ranking.feedback_count,
        "feedback_weight": ranking.feedback_weight,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SEARCH, values)
        return [FoundPassage(*row) for row in cursor.fetchall()]
