"""What is kept of searches: shared by those of one scope, right after each change, whoever makes it."""

from contextlib import nullcontext
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from apps.accounts.models import Audience, Department, User
from apps.accounts.services import (
    everyone,
)
from apps.billing.models import Purpose, UsageRecord
from apps.caching import listener, local
from apps.documents import retrieval, sentences
from apps.llm.errors import LLMError
from apps.llm.models import Route
from tests.caching.unreachable import unreachable
from tests.caching.waiting import until
from tests.documents.world import MODEL, OPERATIONS, QUESTIONS, VECTOR, World
from tests.factories.billing import call_context
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

Facts = set[tuple[object, ...]]


@pytest.fixture(autouse=True)
def _listening(db: None) -> None:
    """A process that hears of changes, as a serving one does."""
    listener.ensure()
    until(lambda: local.is_open)


def context_of(department: Department) -> Any:
    """Return the context of another search the department pays for."""
    return call_context(department_id=department.pk, purpose=Purpose.QUERY_EMBEDDING)


def found(user: User, question: str, *, is_cached: bool = True) -> Facts:
    """Return what a search tells of each passage it finds, through the cache or past it."""
    with nullcontext() if is_cached else transaction.atomic():
        result = retrieval.search(
            user=user,
            question=question,
            context=call_context(department_id=UUID(int=1)),
            passage_count=200,
            embedded=retrieval.EmbeddedQuestion(VECTOR, MODEL, 0),
        )
    return {
        (one.passage_id, one.document_id, one.version_id, one.document_name, one.text)
        for one in result.passages
    }


@examples(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_search_through_the_cache_is_a_search_past_it_whatever_has_happened(
    owner: User, colleague: User, outsider: User, data: Any
) -> None:
    """Real PostgreSQL and Valkey, no relay: generations alone keep it right."""
    people = [User.objects.get(pk=person.pk) for person in (owner, colleague, outsider)]
    support = Department.objects.get(code="support")
    [other] = Department.objects.exclude(pk=support.pk)
    world = World(people, [support, support, other])
    for operation in data.draw(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=8)):
        operation(world, data)
        for person in people:
            for question in QUESTIONS:
                kept = found(person, question)
                assert kept == found(person, question, is_cached=False), operation.__name__
                assert kept == found(person, question)


def test_two_people_of_one_scope_share_what_was_found(owner: User, outsider: User) -> None:
    served(owner, "Annual leave is 28 days.", audience=everyone())
    # Nobody's own audience is part of theirs: both read for everyone alone.
    Audience.objects.filter(kind__in=["USER", "DEPARTMENT"]).delete()
    first = found(owner, "annual leave")
    with CaptureQueriesContext(connection) as queries:
        assert found(outsider, "annual leave") == first != set()
    assert len(queries) == 1, "the scope alone is read"


def test_ones_own_passages_are_found_by_nobody_else(
    owner: User, colleague: User, outsider: User
) -> None:
    served(owner, "Annual leave is 28 days.")
    assert found(owner, "annual leave")
    assert not found(colleague, "annual leave")
    assert not found(outsider, "annual leave")


def test_other_documents_chosen_are_another_search(owner: User) -> None:
    documents = [served(owner, f"Annual leave {number}.") for number in range(2)]

    def search(chosen: list[UUID] | None) -> set[UUID]:
        result = retrieval.search(
            user=owner,
            question="annual leave",
            context=call_context(department_id=UUID(int=1)),
            document_ids=chosen,
            embedded=retrieval.EmbeddedQuestion(VECTOR, MODEL, 0),
        )
        return {one.document_id for one in result.passages}

    for _round in range(2):
        assert search(None) == {document.pk for document in documents}
        assert search([documents[0].pk]) == {documents[0].pk}
        assert search([]) == set()


def test_a_question_is_embedded_once_for_everybody_and_paid_once(
    owner: User, outsider: User, department: Department, fake_provider: FakeProvider
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)
    first = retrieval.embed_question(question="How long?", context=context_of(department))
    again = retrieval.embed_question(question="How long?", context=context_of(department))
    assert len(fake_provider.requests) == UsageRecord.objects.count() == 1
    assert np.array_equal(first.vector, again.vector)
    assert (again.llm_model_id, again.cost_nanos) == (first.llm_model_id, 0)
    retrieval.embed_question(question="How long? ", context=context_of(department))
    assert len(fake_provider.requests) == 2


def test_a_failure_of_somebody_elses_embedding_is_not_ones_own(
    department: Department, fake_provider: FakeProvider
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)
    fake_provider.will_fail(400)
    with pytest.raises(LLMError):
        retrieval.embed_question(question="How long?", context=context_of(department))
    # At once: the store remembers the failure for a second.
    embedded = retrieval.embed_question(question="How long?", context=context_of(department))
    assert np.linalg.norm(embedded.vector) == pytest.approx(1, abs=1e-5)


def test_sentences_are_embedded_once(
    owner: User, department: Department, fake_provider: FakeProvider
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)
    served(owner, "Annual leave is 28 days. It is booked in the portal.")
    orders = []
    for question in (
        "How much annual leave?",
        "Where is annual leave booked?",
        "How much annual leave?",
    ):
        result = retrieval.search(user=owner, question=question, context=context_of(department))
        before = len(fake_provider.requests)
        best = sentences.best_sentences(
            retrieval=result, question=question, context=context_of(department), count=5
        )
        orders.append(([one.text for one in best], len(fake_provider.requests) - before))
    assert [calls for _texts, calls in orders] == [1, 0, 0]
    assert orders[0][0] == orders[2][0] != []


def test_a_search_finds_without_valkey(owner: User, settings: Any) -> None:
    served(owner, "Annual leave is 28 days.")
    assert found(owner, "annual leave")
    with unreachable(settings):
        assert found(owner, "annual leave")
