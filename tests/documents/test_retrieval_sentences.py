"""The sentences given to a weak model are exact, distinct, and never a mere heading where a sentence answers."""

from uuid import UUID

import numpy as np
import pytest

from apps.accounts.models import Department, User
from apps.billing.models import Purpose
from apps.documents import retrieval, sentences
from apps.documents.models import Page
from apps.documents.types import FoundPassage, FoundSentence
from apps.llm.models import Route
from tests.factories.billing import call_context
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

TEXT = (
    "Leave policy\nAnnual leave is 28 days a year. It is booked in the portal.\n"
    "How much leave do I get?\nUp to five days may be carried over until 30 June."
)


@pytest.mark.django_db(transaction=True)
def test_sentences_stand_where_they_say(
    owner: User, department: Department, fake_provider: FakeProvider
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)
    served(owner, TEXT)
    served(owner, "Hotels cost up to 185 pounds. Breakfast is included.", name="travel.pdf")
    question = "How many days may be carried over?"

    def context() -> object:
        return call_context(department_id=department.pk, purpose=Purpose.QUERY_EMBEDDING)

    found = retrieval.search(user=owner, question=question, context=context())
    best = sentences.best_sentences(retrieval=found, question=question, context=context(), count=20)

    assert "Up to five days may be carried over until 30 June." in {one.text for one in best}
    for one in best:
        page = Page.objects.get(version_id=one.passage.version_id)
        assert page.text[one.start_offset : one.end_offset] == one.text
    places = [(one.passage.version_id, one.start_offset) for one in best]
    assert len(places) == len(set(places))


def passage(text: str, *, score: float = 1.0, passage_id: int = 1, start: int = 0) -> FoundPassage:
    """Return a found passage with this text."""
    return FoundPassage(
        passage_id=passage_id,
        document_id=UUID(int=1),
        version_id=UUID(int=2),
        document_name="policy.pdf",
        page_number=1,
        start_offset=start,
        end_offset=start + len(text),
        text=text,
        score=score,
        text_rank=None,
        vector_rank=None,
        similarity=0.5,
    )


def sentence(text: str, similarity: float) -> FoundSentence:
    """Return a sentence of a passage of its own."""
    return FoundSentence(passage(text), text, 0, len(text), similarity)


@pytest.mark.parametrize("other", ["Leave policy", "How much leave do I get every year, then?"])
def test_a_heading_or_a_question_stands_behind_a_sentence(other: str) -> None:
    answer = sentence("Annual leave is 28 days a year.", 0.6)
    merits = [sentences._merit(one, 0.5) for one in (answer, sentence(other, 0.75))]
    assert np.argmax(merits) == 0


def test_passages_that_overlap_give_a_sentence_once() -> None:
    first = "Annual leave is 28 days. It is booked in the portal."
    second = "It is booked in the portal. Sick leave is another thing."
    found = [
        passage(first),
        passage(second, passage_id=2, start=first.index("It is")),
    ]
    texts = [one.text[start:end] for one, start, end in sentences._distinct_sentences(found)]
    assert texts == [
        "Annual leave is 28 days.",
        "It is booked in the portal.",
        "Sick leave is another thing.",
    ]
