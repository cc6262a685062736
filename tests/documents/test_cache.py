"""What is kept of the pages of documents: right after each change, whoever makes it, for those who may read them."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.access import scope_of
from apps.accounts.models import Department, Membership, User
from apps.accounts.services import (
    audience_of_department,
)
from apps.caching import listener, local, outbox, policies
from apps.caching.models import CachePolicy
from apps.documents import readable, runs, services
from apps.documents.models import Document, Page
from apps.documents.serving import serve_version
from apps.documents.types import Sharing, Visibility
from tests.caching.unreachable import unreachable
from tests.caching.waiting import until
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.documents import served, served_version

pytestmark = pytest.mark.django_db(transaction=True)


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
        assert readable.choosable(owner).count == 1
