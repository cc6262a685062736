"""Search over passages: what a person may read, found by words and by meaning. Ranking is SQL (sql/search_v1.sql)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from pgvector import HalfVector

from apps.accounts.access import Scope, scope_of
from apps.accounts.models import User
from apps.billing.errors import BudgetExceededError
from apps.billing.types import CallContext, Thrift
from apps.caching import store
from apps.documents.cache import QUERY_EMBEDDING, RETRIEVAL
from apps.documents.types import EmbeddedText, FoundPassage, Retrieval
from apps.llm import services as llm
from apps.llm.errors import LLMError
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


@dataclass(frozen=True, slots=True)
class EmbeddedQuestion:
    """A question's unit vector by this embedding model, and what it cost here: 0 where it was known already."""

    vector: NDArray[np.float32]
    llm_model_id: UUID
    cost_nanos: int


def embed_question(
    *, question: str, context: CallContext, thrift: Thrift = Thrift.CHEAPEST_MODEL
) -> EmbeddedQuestion:
    """Return a question's vector; calls the embedding model unless it is known already, by whoever asked it.

    `thrift` SEARCH: an earlier answer may be found by it, so budgets that give only those let it pass.

    Raises:
        NoModelError, ProviderError, BudgetExceededError: the question could not be embedded.
    """
    choice = llm.choose(Route.Use.EMBEDDING)
    calls: list[int] = []

    def compute() -> EmbeddedText:
        calls.append(0)
        embeddings = llm.embed(texts=[question], context=context, choice=choice, thrift=thrift)
        calls[-1] = sum(settled.amount_nanos for settled in embeddings.settled)
        return EmbeddedText(embeddings.vectors[0], calls[-1])

    key = (choice.llm_model_id, choice.model_code, question)
    try:
        embedded = store.get_or_compute(QUERY_EMBEDDING, key, compute)
    except (LLMError, BudgetExceededError):
        if calls:
            raise
        # Somebody else's call has failed, for reasons that may be theirs (their budget): this one is its own.
        embedded = compute()
    return EmbeddedQuestion(embedded.vector, choice.llm_model_id, sum(calls))


def search(
    *,
    user: User,
    question: str,
    context: CallContext,
    document_ids: Sequence[UUID] | None = None,
    passage_count: int = DEFAULT_PASSAGE_COUNT,
    embedded: EmbeddedQuestion | None = None,
) -> Retrieval:
    """Return the passages the person may read that fit the question best; calls the embedding model where it must.

    They are the same for all of one scope, which is read anew each time: a change of what one of its audiences reads
    moves the audience's generation in its own transaction (sql/generations_v1.sql), and so the key.

    `document_ids` narrows the search to these documents; None searches all. A question `embedded` before is not
    embedded again.

    Raises:
        NoModelError, ProviderError: the question could not be embedded.
    """
    embedded = embedded or embed_question(question=question, context=context)
    # From PostgreSQL, never from a cache: it says what may be read, and of which state.
    scope = scope_of(user)
    ranking = Ranking.live()

    def compute() -> tuple[FoundPassage, ...]:
        return tuple(
            find_passages(
                question=question,
                question_vector=embedded.vector,
                llm_model_id=embedded.llm_model_id,
                audience_ids=scope.audience_ids,
                document_ids=document_ids,
                passage_count=passage_count,
                ranking=ranking,
            )
        )

    key = (
        spelled(scope),
        "ALL" if document_ids is None else " ".join(sorted({str(pk) for pk in document_ids})),
        question,
        embedded.llm_model_id,
        passage_count,
        repr(ranking),
    )
    passages = store.get_or_compute(RETRIEVAL, key, compute)
    return Retrieval(passages, embedded.vector, embedded.cost_nanos)


def spelled(scope: Scope) -> str:
    """Return a scope as part of a key: the audiences, each with its generation."""
    return " ".join(f"{audience_id}:{generation}" for audience_id, generation in scope.pairs)


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
