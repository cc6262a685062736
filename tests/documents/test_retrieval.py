"""Search finds by words and by meaning what the person may read, and nothing else."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from uuid import UUID

import numpy as np
import pytest
from django.db import connection
from numpy.typing import NDArray

from apps.accounts.models import Audience, Department, User
from apps.accounts.services import audience_of_department, audience_of_user, everyone
from apps.billing.models import Purpose
from apps.documents import lexical, retrieval, vectors
from apps.documents.models import Document, Passage, PassageEmbedding, Posting, Term
from apps.documents.retrieval import Ranking, find_passages
from apps.documents.serving import set_audience
from apps.documents.types import FoundPassage
from apps.llm.models import Route
from apps.llm.types import Choice
from tests.factories.billing import call_context
from tests.factories.documents import served, served_version
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db

MODEL = UUID(int=1)
PLAIN = Ranking(
    candidate_count=20,
    postings_budget=1000,
    exact_scan_limit=1000,
    vector_weight=0.5,
    feedback_count=0,
    feedback_weight=0.0,
)
NO_EXACT_SCAN = Ranking(
    candidate_count=20,
    postings_budget=1000,
    exact_scan_limit=0,
    vector_weight=0.5,
    feedback_count=0,
    feedback_weight=0.0,
)


def direction(*coordinates: float) -> NDArray[np.float32]:
    """Return the unit vector in this direction."""
    vector = np.zeros(8, dtype=np.float32)
    vector[: len(coordinates)] = coordinates
    return vector / np.linalg.norm(vector)


def give_vector(document: Document, vector: NDArray[np.float32]) -> None:
    """Give all passages of the document this vector."""
    for passage in Passage.objects.filter(version__document=document):
        PassageEmbedding.objects.create(
            passage=passage, llm_model_id=MODEL, content_hash=passage.content_hash, vector=vector
        )


def find(
    user: User,
    question: str = "",
    vector: NDArray[np.float32] | None = None,
    *,
    documents: Sequence[UUID] | None = None,
    ranking: Ranking = PLAIN,
) -> list[FoundPassage]:
    """Search as `retrieval.search` does, with a vector of the test's choice."""
    return find_passages(
        question=question,
        question_vector=vector,
        llm_model_id=MODEL,
        audience_ids=list(Audience.objects.readable_by(user).values_list("pk", flat=True)),
        document_ids=documents,
        passage_count=10,
        ranking=ranking,
    )


def names(found: Sequence[FoundPassage]) -> list[str]:
    """Return the documents' names, best first."""
    return [passage.document_name for passage in found]


def test_a_question_need_not_share_all_its_words(owner: User) -> None:
    served(owner, "Annual leave is 28 days a year.", name="leave")
    served(owner, "Hotels cost up to 185 pounds.", name="travel")
    assert names(find(owner, "how many days of vacation and annual leave do I have?")) == ["leave"]


def test_rare_words_count_more_than_common_ones(owner: User) -> None:
    for number in range(6):
        served(owner, "The pump is a pump for houses.", name=f"pump {number}")
    served(owner, "The compressor stands in the garden near the wall.", name="compressor")
    assert names(find(owner, "pump compressor"))[0] == "compressor"


def test_words_are_found_in_their_other_forms(owner: User) -> None:
    served(owner, "Employees receiving receipts hand them in.", name="receipts")
    assert names(find(owner, "I received a receipt")) == ["receipts"]


def test_vectors_find_what_no_word_does(owner: User) -> None:
    give_vector(served(owner, "Annual leave is 28 days.", name="leave"), direction(1, 0.1))
    give_vector(served(owner, "Hotels cost 185 pounds.", name="travel"), direction(0, 1))
    found = find(owner, "vacation", direction(1))
    assert names(found) == ["leave", "travel"]
    assert found[0].text_rank is None
    assert (found[0].vector_rank, found[1].vector_rank) == (1, 2)
    assert found[0].similarity == pytest.approx(0.995, abs=0.001)


def test_both_arms_together_outweigh_either(owner: User) -> None:
    give_vector(served(owner, "Leave and travel, both.", name="both"), direction(1, 0.3))
    give_vector(served(owner, "Something else about hotels.", name="meaning"), direction(1, 0.2))
    give_vector(served(owner, "Leave, leave, leave.", name="words"), direction(0, 1))
    assert names(find(owner, "leave", direction(1)))[0] == "both"


def test_feedback_draws_towards_what_the_best_share(owner: User) -> None:
    for name, vector in (
        ("first", direction(1, 0.5)),
        ("alike", direction(0.8, 0.9)),
        ("apart", direction(0.8, -0.8)),
    ):
        give_vector(served(owner, f"About {name}.", name=name), vector)
    leaning = Ranking(20, 1000, 1000, 1.0, 1, 1.0)
    plain = Ranking(20, 1000, 1000, 1.0, 0, 0.0)
    assert names(find(owner, "", direction(1), ranking=plain)) == ["first", "apart", "alike"]
    assert names(find(owner, "", direction(1), ranking=leaning)) == ["first", "alike", "apart"]


@pytest.mark.parametrize("ranking", [PLAIN, NO_EXACT_SCAN], ids=["exact", "index"])
def test_others_documents_are_in_no_arm(owner: User, outsider: User, ranking: Ranking) -> None:
    index_for(MODEL)
    give_vector(served(owner, "Annual leave is 28 days.", name="leave"), direction(1))
    assert names(find(owner, "annual leave", direction(1), ranking=ranking)) == ["leave"]
    assert find(outsider, "annual leave", direction(1), ranking=ranking) == []
    assert find(outsider, "annual leave", ranking=ranking) == []
    assert find(outsider, "", direction(1), ranking=ranking) == []


def test_an_audience_changed_is_an_audience_obeyed(
    owner: User, colleague: User, department: Department
) -> None:
    document = served(owner, "Annual leave is 28 days.", audience=audience_of_user(owner))
    give_vector(document, direction(1))
    assert find(colleague, "annual leave", direction(1)) == []
    set_audience(document, audience_of_department(department))
    assert len(find(colleague, "annual leave", direction(1))) == 1
    set_audience(document, audience_of_user(owner))
    assert find(colleague, "annual leave", direction(1)) == []


@pytest.mark.parametrize("ranking", [PLAIN, NO_EXACT_SCAN], ids=["exact", "index"])
def test_a_search_keeps_to_the_documents_asked(owner: User, ranking: Ranking) -> None:
    index_for(MODEL)
    wanted = served(owner, "Annual leave is 28 days.", name="wanted")
    other = served(owner, "Annual leave is annual leave.", name="other")
    give_vector(wanted, direction(0, 1))
    give_vector(other, direction(1))
    found = find(owner, "annual leave", direction(1), documents=[wanted.pk], ranking=ranking)
    assert names(found) == ["wanted"]
    assert find(owner, "annual leave", direction(1), documents=[], ranking=ranking) == []


def test_asking_for_somebody_elses_document_finds_nothing(owner: User, outsider: User) -> None:
    document = served(owner, "Annual leave is 28 days.")
    give_vector(document, direction(1))
    assert find(outsider, "annual leave", direction(1), documents=[document.pk]) == []


@pytest.mark.parametrize("ranking", [PLAIN, NO_EXACT_SCAN], ids=["exact", "index"])
def test_a_version_being_built_is_not_found(owner: User, ranking: Ranking) -> None:
    index_for(MODEL)
    document = served(owner, "Annual leave is 28 days.", name="leave")
    built = served_version(document, ["Annual leave is 30 days."])
    Passage.objects.filter(version=built).update(is_serving=False)
    give_vector(document, direction(1))
    found = find(owner, "annual leave", direction(1), ranking=ranking)
    assert [passage.version_id for passage in found] == [document.active_version_id]


def test_the_index_gives_a_selective_reader_all_they_may_read(owner: User, outsider: User) -> None:
    index_for(MODEL)
    for number in range(60):
        give_vector(served(outsider, f"Secret {number}."), direction(1, number / 1000))
    for number in range(5):
        give_vector(
            served(owner, f"Note {number}.", name=f"note {number}"), direction(1, 1, number / 10)
        )
    # Less than what the first pass over the index looks at is the owner's: it has to go on.
    few = Ranking(20, 1000, 0, 0.5, 0, 0.0)
    assert len(find(owner, "", direction(1), ranking=few)) == 5


def test_the_vector_index_is_used_above_the_exact_scan_limit(owner: User) -> None:
    index_for(MODEL)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(
            "EXPLAIN SELECT e.passage_id FROM documents_passageembedding e "
            "JOIN documents_passage p ON p.id = e.passage_id "
            f"WHERE e.llm_model_id = '{MODEL}' AND p.is_serving AND p.audience_id = ANY (%s) "
            "ORDER BY e.vector::halfvec(8) <#> %s::halfvec LIMIT 20",
            ([1], "[1,0,0,0,0,0,0,0]"),
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert vectors.index_name(MODEL) in plan


def test_a_spent_budget_still_finds_by_the_rarest_word(owner: User) -> None:
    for number in range(30):
        served(owner, f"The pump number {number} hums.", name=f"pump {number}")
    served(owner, "The pump has a compressor.", name="compressor")
    tight = Ranking(20, 5, 0, 0.0, 0, 0.0)
    found = find(owner, "pump compressor", ranking=tight)
    assert names(found)[0] == "compressor"
    # One posting of the rare word and four of the common one, one of which is the same passage's.
    assert len(found) == 4


def test_indexing_again_changes_nothing(owner: User) -> None:
    document = served(owner, "Annual leave is 28 days, and leave is paid.")
    before = list(Term.objects.order_by("pk").values_list("lexeme", "passage_count"))
    assert ("leav", 1) in before
    assert ("", 1) in before
    postings = Posting.objects.count()
    assert document.active_version_id is not None
    lexical.index_version(document.active_version_id)
    assert list(Term.objects.order_by("pk").values_list("lexeme", "passage_count")) == before
    assert Posting.objects.count() == postings


def test_a_deleted_document_leaves_no_posting_and_no_count(owner: User) -> None:
    served(owner, "Annual leave is 28 days.")
    served(owner, "Annual salaries are secret.").delete()
    assert not find(owner, "salaries")
    counts = dict(Term.objects.values_list("lexeme", "passage_count"))
    assert (counts["annual"], counts["salari"], counts[""]) == (1, 0, 1)
    assert not Posting.objects.exclude(passage__in=Passage.objects.all()).exists()


@pytest.mark.django_db(transaction=True)
def test_search_embeds_the_question_at_the_askers_cost(
    owner: User, department: Department, fake_provider: FakeProvider
) -> None:
    choice = route_to(fake_provider, Route.Use.EMBEDDING)
    document = served(owner, "Annual leave is 28 days.", audience=everyone())
    passage = Passage.objects.get(version__document=document)
    # The fake's vectors depend on the text alone.
    context = call_context(department_id=department.pk, purpose=Purpose.QUERY_EMBEDDING)
    found = retrieval.search(user=owner, question=passage.text, context=context)
    PassageEmbedding.objects.create(
        passage=passage,
        llm_model_id=choice.llm_model_id,
        content_hash=passage.content_hash,
        vector=found.question_vector,
    )
    again = call_context(department_id=department.pk, purpose=Purpose.QUERY_EMBEDDING)
    found = retrieval.search(user=owner, question=passage.text, context=again)
    [best] = found.passages
    assert (best.passage_id, best.document_id) == (passage.pk, document.pk)
    assert best.similarity == pytest.approx(1, abs=0.01)
    assert np.linalg.norm(found.question_vector) == pytest.approx(1, abs=1e-5)


def test_a_search_takes_one_statement_of_the_database(
    owner: User, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    served(owner, "Annual leave is 28 days.")
    with django_assert_num_queries(2):  # the asker's audiences, the search
        find(owner, "annual leave", direction(1))


def index_for(llm_model_id: UUID) -> None:
    """Make the vector index of a model with eight dimensions."""
    vectors.ensure_index(
        Choice(
            llm_model_id=llm_model_id,
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
    )
