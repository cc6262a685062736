"""What is kept of documents: shared by those who may read it, right after each change, whoever makes it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from apps.accounts.access import scope_of
from apps.accounts.models import Audience, AudienceMember, Department, Membership, User
from apps.accounts.services import (
    audience_of_department,
    audience_of_user,
    everyone,
)
from apps.billing.models import Purpose, UsageRecord
from apps.caching import listener, local, outbox, policies
from apps.caching.models import CachePolicy
from apps.documents import readable, retrieval, runs, sentences, services
from apps.documents.lexical import index_version
from apps.documents.models import Document, DocumentVersion, Page, Passage, PassageEmbedding
from apps.documents.serving import serve_version
from apps.documents.types import Sharing, Visibility
from apps.llm.errors import LLMError
from apps.llm.models import Route
from tests.caching.unreachable import unreachable
from tests.caching.waiting import until
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.billing import call_context
from tests.factories.documents import served, served_version
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

MODEL = UUID(int=7)
QUESTIONS = ("annual leave", "travel costs")
VECTOR = np.full(8, 8**-0.5, dtype=np.float32)

Facts = set[tuple[object, ...]]


@pytest.fixture(autouse=True)
def _listening(db: None) -> None:
    """A process that hears of changes, as a serving one does."""
    listener.ensure()
    until(lambda: local.is_open)


def signed_in(user: User) -> Client:
    """Return the person's browser."""
    client = Client()
    client.force_login(user)
    return client


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


class World:
    """People, departments, and documents that hypothesis changes one way or another."""

    def __init__(self, people: list[User], departments: list[Department]) -> None:
        self.people = people
        self.departments = departments
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """Have the same to choose from in each example: nothing but people, each in a department."""
        for document in Document.objects.all():
            document.delete()
        Audience.objects.all().delete()
        Membership.objects.all().delete()
        User.objects.update(is_active=True)
        for person, department in zip(self.people, self.departments, strict=True):
            person.is_active = True
            Membership.objects.create(user=person, department=department)

    def document(self, draw: Any) -> Document | None:
        """Return one of the documents."""
        documents = list(Document.objects.order_by("pk"))
        return draw.draw(st.sampled_from(documents)) if documents else None

    def person(self, draw: Any) -> User:
        """Return one of the people."""
        return draw.draw(st.sampled_from(self.people))

    def audience(self, draw: Any) -> Audience:
        """Return an audience of any kind."""
        audiences = [everyone(), *map(audience_of_department, self.departments[1:])]
        audiences += [audience_of_user(person) for person in self.people[:2]]
        audiences += list(Audience.objects.filter(kind="CUSTOM").order_by("pk"))
        return draw.draw(st.sampled_from(audiences))


Operation = Callable[[World, Any], object]


def add(world: World, draw: Any) -> None:
    """Somebody's document is read."""
    world.number += 1
    texts = [f"{draw.draw(st.sampled_from(QUESTIONS))} {world.number}."]
    served(world.people[0], *texts, audience=world.audience(draw))


def share(world: World, draw: Any) -> None:
    """An owner changes who reads a document."""
    document = world.document(draw)
    if document is None:
        return
    kind = draw.draw(st.sampled_from(list(Sharing)))
    mine = Department.objects.payable_by(document.owner).first()
    visibility = Visibility(kind, mine, [world.person(draw)])
    services.change_visibility(document=document, by=document.owner, visibility=visibility)


def read_again(world: World, draw: Any) -> None:
    """A new version serves."""
    document = world.document(draw)
    if document is None:
        return
    world.number += 1
    with transaction.atomic():
        version = served_version(document, [f"travel costs, again {world.number}."])
        serve_version(document, version.pk)


def rename(world: World, draw: Any) -> None:
    """An owner gives a document another name."""
    document = world.document(draw)
    if document is not None:
        world.number += 1
        services.rename(document=document, name=f"name {world.number}.pdf")


def delete(world: World, draw: Any) -> None:
    """An owner deletes a document, or an operator's admin does."""
    document = world.document(draw)
    if document is None:
        return
    if draw.draw(st.booleans()):
        services.delete(document=document)
    else:
        document.delete()


def rename_in_bulk(world: World, draw: Any) -> None:
    """A data migration renames."""
    world.number += 1
    Document.objects.update(name=f"all {world.number}.pdf")


def move_by_hand(world: World, draw: Any) -> None:
    """Somebody moves documents to another audience in SQL."""
    audience, document = world.audience(draw), world.document(draw)
    if document is None:
        return
    statements = [
        ("UPDATE documents_document SET audience_id = %s WHERE id = %s", document.pk),
        (
            (
                "UPDATE documents_passage SET audience_id = %s WHERE version_id IN "
                "(SELECT id FROM documents_documentversion WHERE document_id = %s)"
            ),
            document.pk,
        ),
    ]
    # One of them alone hides the passages; both give them to others.
    chosen = draw.draw(st.lists(st.sampled_from(statements), min_size=1, unique=True))
    with transaction.atomic(), connection.cursor() as cursor:
        for statement, key in chosen:
            cursor.execute(statement, [audience.pk, key])


def edit_by_hand(world: World, draw: Any) -> None:
    """Somebody withdraws passages, brings them back, or changes their text in SQL."""
    statement = draw.draw(
        st.sampled_from(
            [
                "UPDATE documents_passage SET is_serving = false WHERE id %% 2 = 0",
                "UPDATE documents_passage SET is_serving = true",
                "UPDATE documents_passage SET text = text || '!' WHERE id %% 2 = 1",
                "UPDATE documents_document SET active_version_id = NULL",
            ]
        )
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [])


def add_by_hand(world: World, draw: Any) -> None:
    """A repair adds a passage to a version that serves."""
    version = DocumentVersion.objects.filter(passages__is_serving=True).order_by("pk").first()
    if version is None:
        return
    last = version.passages.order_by("ordinal").last()
    assert last is not None
    with transaction.atomic():
        Passage.objects.create(
            version=version,
            audience_id=last.audience_id,
            ordinal=last.ordinal + 1,
            page_number=1,
            start_offset=0,
            end_offset=12,
            text="annual leave",
            content_hash=b"0" * 32,
            is_serving=True,
        )
        index_version(version.pk)


def delete_by_hand(world: World, draw: Any) -> None:
    """Somebody deletes passages in SQL."""
    first = Passage.objects.order_by("pk").values_list("pk", flat=True).first()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM documents_posting WHERE passage_id = %s", [first])
        cursor.execute("DELETE FROM documents_passageembedding WHERE passage_id = %s", [first])
        cursor.execute("DELETE FROM documents_passage WHERE id = %s", [first])


def join_or_leave(world: World, draw: Any) -> None:
    """A person joins a department, or leaves it."""
    user, department = world.person(draw), draw.draw(st.sampled_from(world.departments[1:]))
    membership, is_new = Membership.objects.get_or_create(user=user, department=department)
    # The owner stays where they pay.
    if not is_new and user != world.people[0]:
        membership.delete()


def name_or_forget(world: World, draw: Any) -> None:
    """A person is named in an audience, or taken out, past the services."""
    user, custom = world.person(draw), Audience.objects.filter(kind="CUSTOM").order_by("pk").first()
    if custom is not None:
        member, is_new = AudienceMember.objects.get_or_create(audience=custom, user=user)
        if not is_new:
            member.delete()


def switch_off_or_on(world: World, draw: Any) -> None:
    """A person is deactivated, or comes back."""
    user = world.person(draw)
    user.is_active = not user.is_active
    user.save(update_fields=["is_active"])


def embed(world: World, draw: Any) -> None:
    """A passage that serves gets its vector: from now on it is found by meaning."""
    bare = Passage.objects.filter(embeddings__isnull=True).order_by("pk").first()
    if bare is not None:
        PassageEmbedding.objects.create(
            passage=bare, llm_model_id=MODEL, content_hash=bare.content_hash, vector=VECTOR
        )


OPERATIONS: list[Operation] = [
    add, share, read_again, rename, delete, rename_in_bulk, move_by_hand, edit_by_hand, add_by_hand, delete_by_hand, join_or_leave,
    name_or_forget, switch_off_or_on, embed,
]  # fmt: skip


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


# The pages of a document


def shown(client: Client, document: Document, **query: object) -> Any:
    """Return the context of a document's page, after having made sure that it came from the cache if it could."""
    response = client.get(reverse("documents:detail", args=[document.pk]), query)
    assert response.status_code == 200
    return response.context


def warm(client: Client, document: Document) -> None:
    """Have a document's page in the caches."""
    url = reverse("documents:detail", args=[document.pk])
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    assert not any("documents_" in query["sql"] for query in queries)


def relay() -> None:
    """Do what the relay's process does all the time."""
    while outbox.relay_round():
        pass


def test_the_writers_next_page_is_right(owner: User, colleague: User, outsider: User) -> None:
    document = served(owner, "Annual leave is 28 days.", name="old.pdf")
    client = signed_in(owner)
    warm(client, document)
    services.rename(document=document, name="new.pdf")
    assert shown(client, document)["document"].name == "new.pdf"
    services.set_tags(document=document, tags=["hr"])
    assert shown(client, document)["document"].tags == ["hr"]
    assert (
        signed_in(colleague).get(reverse("documents:detail", args=[document.pk])).status_code == 404
    )

    people = Visibility(Sharing.PEOPLE, people=[colleague])
    services.change_visibility(document=document, by=owner, visibility=people)
    assert shown(client, document)["document"].visibility_label == "2 people"
    assert [one["id"] for one in shown(client, document)["people"]] == [str(colleague.pk)]
    assert shown(signed_in(colleague), document)["document"].owner_name == "Owner"

    fewer = Visibility(Sharing.PEOPLE, people=[outsider])
    services.change_visibility(document=document, by=owner, visibility=fewer)
    assert (
        signed_in(colleague).get(reverse("documents:detail", args=[document.pk])).status_code == 404
    )
    assert shown(signed_in(outsider), document)["document"].can_manage is False

    version = served_version(document, ["The second reading."])
    with transaction.atomic():
        serve_version(document, version.pk)
    page = shown(client, document)
    assert page["version_id"] == version.pk
    assert page["pages"][0].parts[0].text == "The second reading."
    services.reindex(document=document)
    assert shown(client, document)["document"].status == "WAITING"
    run = runs.claim(document.runs.latest("created_at").pk)
    assert run is not None
    assert shown(client, document)["document"].status == "READING"
    runs.fail(run, "encrypted")
    assert shown(client, document)["document"].status == "FAILED"
    services.delete(document=document)
    assert client.get(reverse("documents:detail", args=[document.pk])).status_code == 404


def test_an_earlier_version_and_a_marked_passage_come_from_the_caches(owner: User) -> None:
    document = served(owner, *[f"Page {number}." for number in range(1, 41)])
    first = document.active_version_id
    version = served_version(document, ["Anew."])
    with transaction.atomic():
        serve_version(document, version.pk)
    relay()
    client = signed_in(owner)
    start = Page.objects.get(version_id=first, number=20).start_offset
    for _round in range(2):
        page = shown(client, document, version=str(first), start=start, end=start + 4)
        assert page["is_current_version"] is False
        assert page["pages"][0].number == 20
        assert page["pages"][0].parts[0].is_anchor
        assert (page["previous_page"], page["next_page"]) == (5, 35)
    url = reverse("documents:detail", args=[document.pk])
    assert client.get(url, {"version": str(UUID(int=5))}).status_code == 404


def test_what_no_service_did_arrives_through_the_relay(
    owner: User, colleague: User, department: Department
) -> None:
    document = served(owner, "Old text.", audience=audience_of_department(department))
    client = signed_in(colleague)
    warm(client, document)
    statements = [
        (
            "UPDATE documents_document SET name = 'raw.pdf'",
            lambda page: page["document"].name,
            "raw.pdf",
        ),
        (
            "UPDATE accounts_user SET full_name = 'Renamed' WHERE email = 'owner@example.org'",
            lambda page: page["document"].owner_name,
            "Renamed",
        ),
        (
            "UPDATE accounts_department SET name = 'Help desk' WHERE code = 'support'",
            lambda page: page["document"].visibility_label,
            "Help desk",
        ),
        (
            "UPDATE documents_page SET text = 'New text.'",
            lambda page: page["pages"][0].parts[0].text,
            "New text.",
        ),
        (
            "UPDATE documents_documentversion SET page_count = 9",
            lambda page: page["page_count"],
            9,
        ),
        (
            "UPDATE documents_ingestrun SET cost_nanos = 77",
            lambda page: page["document"].cost_nanos,
            77,
        ),
    ]
    for statement, fact, expected in statements:
        assert fact(shown(client, document)) != expected
        with connection.cursor() as cursor:
            cursor.execute(statement)
        relay()
        assert fact(shown(client, document)) == expected
    Membership.objects.filter(user=colleague).delete()
    relay()
    assert client.get(reverse("documents:detail", args=[document.pk])).status_code == 404


def test_leases_and_sign_ins_move_nothing(owner: User) -> None:
    served(owner)
    relay()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE documents_ingestrun SET lease_expires_at = now()")
        cursor.execute("SELECT count(*) FROM caching_invalidationoutbox")
        assert cursor.fetchone() == (0,)
    scope = scope_of(owner)
    Document.objects.update(status="FAILED")
    assert scope_of(owner) == scope


def test_an_outsider_finds_nothing_in_a_warm_cache(owner: User, outsider: User) -> None:
    document = served(owner, *["Annual leave is 28 days."] * 20)
    warm(signed_in(owner), document)
    stranger = signed_in(outsider)
    for name, query in (("detail", {}), ("detail", {"start": 0, "end": 5}), ("pages", {"from": 1})):
        answer = stranger.get(reverse(f"documents:{name}", args=[document.pk]), query)
        assert answer.status_code == 404


def test_what_can_be_chosen_follows_the_documents(owner: User, outsider: User) -> None:
    assert readable.choosable(owner).count == 0
    document = served(owner, name="a.pdf")
    relay()
    assert [one.name for one in readable.choosable(owner).first] == ["a.pdf"]
    services.rename(document=document, name="b.pdf")
    assert [one.name for one in readable.choosable(owner).first] == ["b.pdf"]
    assert readable.choosable(outsider).count == 0
    services.delete(document=document)
    assert readable.choosable(owner).count == 0


def test_departments_follow_the_memberships(owner: User) -> None:
    [support] = readable.departments_of(owner)
    assert support.name == "Support"
    membership = MembershipFactory(user=owner, department__name="Art")
    relay()
    assert [one.name for one in readable.departments_of(owner)] == ["Art", "Support"]
    owner.default_department_id = support.id
    assert readable.default_department(owner, readable.departments_of(owner)) == support
    membership.delete()
    relay()
    assert readable.departments_of(owner) == (support,)
    assert readable.departments_of(UserFactory(department=None)) == ()


def test_a_value_that_is_too_large_is_read_each_time(owner: User) -> None:
    CachePolicy.objects.create(keyspace="documents:pages:1", max_value_bytes=1024)
    policies.forget()
    document = served(owner, *["Annual leave is 28 days. " * 100] * 3)
    client = signed_in(owner)
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert len(shown(client, document)["pages"]) == 3
        assert any("documents_page" in query["sql"] for query in queries)


def test_pages_come_without_valkey(owner: User, settings: Any) -> None:
    document = served(owner, "Annual leave is 28 days.")
    client = signed_in(owner)
    warm(client, document)
    with unreachable(settings):
        services.rename(document=document, name="new.pdf")
        assert shown(client, document)["document"].name == "new.pdf"
        assert found(owner, "annual leave")
        assert readable.choosable(owner).count == 1
