"""Every parameter acts while everything runs: turned through the journal, the same process does otherwise at once.

Here those of documents and profiling; test_turning_caches.py and test_turning_replies.py have the others.
"""

import ast
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection
from django.test import RequestFactory
from numpy.typing import NDArray

from apps.accounts.models import User
from apps.documents import retrieval, runs, vectors
from apps.documents.intake import RefusedError
from apps.documents.models import Document, Passage, PassageEmbedding
from apps.documents.retrieval import EmbeddedQuestion
from apps.documents.types import FoundPassage
from apps.llm.types import Choice
from apps.observability.profiling import should_profile
from apps.tuning import live, registry
from tests.factories.billing import call_context
from tests.factories.documents import served, uploaded
from tests.tuning.turning import turns

pytestmark = pytest.mark.django_db

Turn = Callable[[str, Any], None]
TESTS = Path(__file__).parent.parent
MODEL = UUID(int=1)


def test_every_parameter_has_a_test_that_turns_it() -> None:
    turned = {
        argument.value
        for file in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "turns"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    declared = {parameter.name for parameter in registry.everything()}
    assert not declared - turned, "mark a test with @turns(name): it turns it and sees the effect"
    assert not turned - declared, "no such parameter"


def direction(*coordinates: float) -> NDArray[np.float32]:
    vector = np.zeros(8, dtype=np.float32)
    vector[: len(coordinates)] = coordinates
    return vector / np.linalg.norm(vector)


def give_vectors(document: Document, *directions: NDArray[np.float32]) -> None:
    """Give the document's passages these vectors, in their order."""
    passages = Passage.objects.filter(version__document=document).order_by("ordinal")
    PassageEmbedding.objects.bulk_create(
        PassageEmbedding(
            passage=passage, llm_model_id=MODEL, content_hash=passage.content_hash, vector=vector
        )
        for passage, vector in zip(passages, directions, strict=True)
    )


def find(
    user: User, question: str, vector: NDArray[np.float32], count: int = 10
) -> Sequence[FoundPassage]:
    """Search with the live parameters, and a question embedded before."""
    return retrieval.search(
        user=user,
        question=question,
        context=call_context(),
        passage_count=count,
        embedded=EmbeddedQuestion(vector, MODEL, 0),
    ).passages


def names(found: Sequence[FoundPassage]) -> list[str]:
    return [passage.document_name for passage in found]


@turns("documents.retrieval_vector_weight")
def test_meaning_or_words_decide_who_is_first(owner: User, turn: Turn) -> None:
    give_vectors(served(owner, "Leave, leave, leave.", name="words"), direction(0.2, 1))
    give_vectors(served(owner, "Hotels and their prices.", name="meaning"), direction(1))
    turn("documents.retrieval_vector_weight", 0.0)
    assert names(find(owner, "leave", direction(1)))[0] == "words"
    turn("documents.retrieval_vector_weight", 1.0)
    assert names(find(owner, "leave", direction(1)))[0] == "meaning"


@turns("documents.retrieval_feedback_count", "documents.retrieval_feedback_weight")
@pytest.mark.parametrize("off", ["count", "weight"])
def test_the_ranking_leans_towards_what_the_best_share(owner: User, turn: Turn, off: str) -> None:
    for name, vector in (
        ("first", direction(1, 0.5)),
        ("alike", direction(0.8, 0.9)),
        ("apart", direction(0.8, -0.8)),
    ):
        give_vectors(served(owner, f"About {name}.", name=name), vector)
    turn("documents.retrieval_vector_weight", 1.0)
    turn("documents.retrieval_feedback_count", 1)
    assert names(find(owner, "", direction(1))) == ["first", "alike", "apart"]
    turn(f"documents.retrieval_feedback_{off}", 0 if off == "count" else 0.0)
    assert names(find(owner, "", direction(1))) == ["first", "apart", "alike"]


@turns("documents.retrieval_candidate_count")
def test_each_search_passes_on_as_many_as_are_set(owner: User, turn: Turn) -> None:
    # The passage that means the same as the question is the 31st by its words.
    document = served(owner, *["Annual leave, leave."] * 30, "Annual notes without any leave.")
    give_vectors(document, *[direction(0, 1)] * 30, direction(1))
    by_meaning = find(owner, "leave", direction(1), count=1)[0]
    assert (by_meaning.vector_rank, by_meaning.text_rank) == (1, 31)
    turn("documents.retrieval_candidate_count", 20)
    by_meaning = find(owner, "leave", direction(1), count=1)[0]
    assert (by_meaning.vector_rank, by_meaning.text_rank) == (1, None)


@turns("documents.retrieval_postings_budget")
def test_the_text_search_reads_as_many_postings_as_are_set(owner: User, turn: Turn) -> None:
    served(owner, *[f"The pump number {number} hums." for number in range(600)])
    assert len(find(owner, "pump", direction(1), count=600)) == 600
    turn("documents.retrieval_postings_budget", 500)
    assert len(find(owner, "pump", direction(1), count=600)) == 500


@turns("documents.retrieval_exact_scan_passages")
def test_above_the_limit_the_index_is_asked(owner: User, turn: Turn) -> None:
    vectors.ensure_index(choice_of_eight_dimensions())
    give_vectors(served(owner, "Annual leave."), direction(1))
    find(owner, "", direction(1))
    before = index_scans()
    find(owner, "", direction(1))
    assert index_scans() == before
    turn("documents.retrieval_exact_scan_passages", 0)
    with connection.cursor() as cursor:
        # One passage would be read without any index: the planner is kept to those it has.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    find(owner, "", direction(1))
    assert index_scans() > before


def index_scans() -> int:
    """How often this transaction has used the vector index of the model."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_numscans(%s::regclass)", [vectors.index_name(MODEL)]
        )
        count: int = cursor.fetchone()[0]
        return count


def choice_of_eight_dimensions() -> Choice:
    return Choice(
        llm_model_id=MODEL,
        provider_code="",
        provider_name="",
        base_url="",
        secret="",
        connect_timeout_seconds=1,
        read_timeout_seconds=1,
        model_code="",
        model_name="",
        grounding="",
        context_tokens=1,
        max_output_tokens=1,
        dimensions=8,
        reason="",
    )


@turns("documents.upload_max_bytes")
def test_a_larger_file_is_refused_as_soon_as_it_is_set(owner: User, turn: Turn) -> None:
    uploaded(owner, "x" * 2000)
    turn("documents.upload_max_bytes", 1024)
    with pytest.raises(RefusedError):
        uploaded(owner, "y" * 2000)


@turns("documents.ingest_attempts")
def test_a_new_run_is_given_as_many_attempts_as_are_set(owner: User, turn: Turn) -> None:
    assert uploaded(owner, "One.").runs.get().attempt_limit == 5
    turn("documents.ingest_attempts", 2)
    assert uploaded(owner, "Two.").runs.get().attempt_limit == 2


@turns("documents.ingest_lease_seconds")
def test_a_worker_holds_its_run_as_long_as_is_set(owner: User, turn: Turn) -> None:
    first, second = (uploaded(owner, text).runs.get() for text in ("One.", "Two."))
    claimed = runs.claim(first.pk)
    turn("documents.ingest_lease_seconds", 600)
    longer = runs.claim(second.pk)
    assert claimed
    assert longer
    assert claimed.lease_expires_at
    assert longer.lease_expires_at
    assert longer.lease_expires_at - claimed.lease_expires_at >= timedelta(seconds=510)


@turns("observability.profiling_ratio")
def test_requests_are_recorded_as_soon_as_it_is_set(turn: Turn) -> None:
    request = RequestFactory().get("/account/profile/")
    name = "observability.profiling_ratio"
    assert not should_profile(request, live.number(name))
    turn(name, 1.0)
    assert should_profile(request, live.number(name))
