"""What is kept of conversations: its owner's alone, and right after each change, whoever makes it."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import Membership, User
from apps.accounts.services import audience_of_department, everyone, paying_department
from apps.caching import listener, local, outbox, policies
from apps.caching.models import CachePolicy
from apps.chat import history, services
from apps.chat.finish import finish
from apps.chat.models import Conversation, Feedback, Message
from apps.chat.tree import Tree, read_tree
from apps.chat.types import Basis, Outcome
from apps.documents import services as documents
from apps.documents.models import Document
from apps.documents.types import Sharing, Visibility
from tests.caching.unreachable import unreachable
from tests.caching.waiting import until
from tests.factories.chat import CitationFactory, conversation_of, waiting_reply
from tests.factories.documents import served

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _listening(db: None) -> None:
    """A process that hears of changes, as a serving one does."""
    listener.ensure()
    until(lambda: local.is_open)


@pytest.fixture
def own(owner: User) -> Client:
    """The owner's browser."""
    return signed_in(owner)


def signed_in(user: User) -> Client:
    """Return the person's browser."""
    client = Client()
    client.force_login(user)
    return client


def url_of(conversation: Conversation) -> str:
    """Return the address of a conversation."""
    return reverse("chat:conversation-detail", args=[conversation.pk])


def page(client: Client, conversation: Conversation) -> Any:
    """Return the context of a conversation's page."""
    response = client.get(url_of(conversation))
    assert response.status_code == 200
    return response.context


def warm(client: Client, conversation: Conversation) -> None:
    """Have a conversation's page in the caches."""
    client.get(url_of(conversation))
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url_of(conversation)).status_code == 200
    assert not any("chat_" in query["sql"] for query in queries)
    assert not any("documents_" in query["sql"] for query in queries)


def relay() -> None:
    """Do what the relay's process does all the time."""
    while outbox.relay_round():
        pass


def ended(reply: Message, state: str, text: str = "It is over.") -> None:
    """End a reply as its writer does."""
    assert finish(reply.pk, Basis(reason=""), Outcome(state=state, text=text))


def titles(client: Client, **query: str) -> list[str]:
    """Return the titles of the list beside an empty conversation."""
    shown = client.get(reverse("chat:new"), query).context["conversations"]
    return [one.title for one in shown.items]


def test_a_question_and_its_answer_are_on_the_next_page(owner: User, own: Client) -> None:
    conversation = conversation_of(owner)
    warm(own, conversation)
    posted = services.post_message(
        user=owner, draft=services.Draft("And then?", uuid4(), conversation)
    )
    asked = page(own, conversation)
    assert [one.content for one in asked["branch"]][-2:] == ["And then?", ""]
    assert asked["is_running"]
    ended(posted.reply, "DONE")
    answered = page(own, conversation)
    assert answered["branch"][-1].content == "It is over."
    assert not answered["is_running"]


def test_a_stopped_answer_is_stopped_on_the_next_page(owner: User, own: Client) -> None:
    conversation = conversation_of(owner)
    reply = waiting_reply(conversation)
    warm(own, conversation)
    assert page(own, conversation)["is_running"]
    services.stop(reply=reply)
    ended(reply, "STOPPED", "Half")
    stopped = page(own, conversation)
    assert (stopped["branch"][-1].state, stopped["is_running"]) == ("STOPPED", False)


def test_another_answer_stands_beside_the_first(owner: User, own: Client) -> None:
    conversation = conversation_of(owner)
    warm(own, conversation)
    reply = Message.objects.select_related("parent", "conversation").get(
        pk=conversation.active_leaf_id
    )
    posted = services.regenerate(user=owner, reply=reply, idempotency_key=uuid4())
    last = page(own, conversation)["branch"][-1]
    assert (last.id, last.siblings, last.sibling_number) == (posted.reply.pk, 2, 2)


def test_feedback_is_on_the_next_page_and_gone_when_taken_back(owner: User, own: Client) -> None:
    conversation = conversation_of(owner)
    warm(own, conversation)
    reply = Message.objects.get(pk=conversation.active_leaf_id)
    for judgement in (True, False, None):
        services.give_feedback(reply=reply, is_positive=judgement)
        assert page(own, conversation)["branch"][-1].feedback is judgement


def test_a_new_name_and_the_archive_show_in_page_and_list(owner: User, own: Client) -> None:
    conversation = conversation_of(owner, title="Old")
    warm(own, conversation)
    assert titles(own) == ["Old"]
    services.rename(conversation=conversation, title="New")
    assert page(own, conversation)["conversation"].title == "New"
    assert titles(own) == ["New"]
    assert titles(own, archived="1") == []
    services.set_archived(conversation=conversation, is_archived=True)
    assert page(own, conversation)["conversation"].is_archived
    assert (titles(own), titles(own, archived="1")) == ([], ["New"])


def test_a_new_conversation_is_in_the_list_and_a_deleted_one_nowhere(
    owner: User, own: Client
) -> None:
    assert titles(own) == []
    posted = services.post_message(
        user=owner, draft=services.Draft("Leave?", uuid4(), sources="NONE")
    )
    assert titles(own) == ["Leave?"]
    warm(own, posted.conversation)
    pk = posted.conversation.pk
    services.delete(conversation=posted.conversation)
    assert titles(own) == []
    assert own.get(reverse("chat:conversation-detail", args=[pk])).status_code == 404


def test_others_find_nothing_in_a_warm_cache(
    owner: User, outsider: User, admin_user: User, own: Client
) -> None:
    conversation = conversation_of(owner)
    warm(own, conversation)
    for stranger in (outsider, admin_user):
        assert signed_in(stranger).get(url_of(conversation)).status_code == 404
        assert titles(signed_in(stranger)) == []
    assert Client().get(url_of(conversation)).status_code == 302


def cite(conversation: Conversation, document: Document) -> None:
    """Have the last reply rest on a document."""
    CitationFactory(
        message_id=conversation.active_leaf_id,
        document=document,
        version=document.active_version,
        document_name=document.name,
    )
    relay()


def chip(client: Client, conversation: Conversation) -> tuple[bool, bool]:
    """Say whether the last reply's citation is available, and whether it has an address."""
    [shown] = page(client, conversation)["branch"][-1].citations
    return shown.is_available, bool(shown.url)


def leave(document: Document, reader: User) -> None:
    """The reader leaves the department the document is shared with."""
    Membership.objects.filter(user=reader).delete()
    relay()


def hide(document: Document, reader: User) -> None:
    """The owner shares it with nobody any more."""
    documents.change_visibility(
        document=document, by=document.owner, visibility=Visibility(Sharing.ME)
    )


def remove(document: Document, reader: User) -> None:
    """The owner deletes it."""
    documents.delete(document=document)


def remove_in_admin(document: Document, reader: User) -> None:
    """It goes past the services."""
    document.delete()
    relay()


@pytest.mark.parametrize("loss", [leave, hide, remove, remove_in_admin])
def test_with_the_access_goes_the_citations_link(
    owner: User, colleague: User, loss: Callable[[Document, User], None]
) -> None:
    shared = audience_of_department(paying_department(owner))
    document = served(owner, "Annual leave is 28 days.", audience=shared)
    conversation = conversation_of(colleague)
    cite(conversation, document)
    client = signed_in(colleague)
    warm(client, conversation)
    assert chip(client, conversation) == (True, True)
    loss(document, colleague)
    assert chip(client, conversation) == (False, False)


@pytest.mark.parametrize(
    ("statement", "fact"),
    [
        (
            "UPDATE chat_message SET content = 'By hand' WHERE role = 'ASSISTANT'",
            lambda shown: shown["branch"][-1].content == "By hand",
        ),
        (
            "UPDATE chat_message SET state = 'RUNNING' WHERE role = 'ASSISTANT'",
            lambda shown: shown["is_running"],
        ),
        (
            "UPDATE chat_conversation SET title = 'By hand'",
            lambda shown: (
                shown["conversation"].title == "By hand"
                and shown["conversations"].items[0].title == "By hand"
            ),
        ),
        ("DELETE FROM chat_feedback", lambda shown: shown["branch"][-1].feedback is None),
        ("DELETE FROM chat_citation", lambda shown: shown["branch"][-1].citations == []),
        (
            "DELETE FROM chat_conversation_chosen_documents",
            lambda shown: shown["chosen_ids"] == (),
        ),
        (
            "UPDATE accounts_department SET name = 'By hand'",
            lambda shown: shown["paying_department"].name == "By hand",
        ),
        (
            "UPDATE documents_document SET name = 'By hand'",
            lambda shown: shown["documents"][0].name == "By hand",
        ),
    ],
)
def test_what_no_service_did_arrives_through_the_relay(
    owner: User, own: Client, statement: str, fact: Callable[[Any], bool]
) -> None:
    conversation = conversation_of(owner, sources="CHOSEN")
    document = served(owner, audience=everyone())
    conversation.chosen_documents.set([document])
    Feedback.objects.create(message_id=conversation.active_leaf_id, is_positive=True)
    cite(conversation, document)
    warm(own, conversation)
    assert not fact(page(own, conversation))
    with connection.cursor() as cursor:
        cursor.execute(statement)
    relay()
    assert fact(page(own, conversation))


RENAMING = """
import django
django.setup()
from apps.chat import services
from apps.chat.models import Conversation
services.rename(conversation=Conversation.objects.get(), title="Elsewhere")
"""


def test_another_process_changes_what_this_one_shows(owner: User, own: Client) -> None:
    conversation = conversation_of(owner)
    warm(own, conversation)
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format_map(connection.settings_dict)
    subprocess.run(
        [sys.executable, "-c", RENAMING],
        env=os.environ | {"DATABASE_URL": url, "CACHE_URL": django_settings.CACHE_URL},
        check=True,
    )
    assert page(own, conversation)["conversation"].title == "Elsewhere"
    assert titles(own) == ["Elsewhere"]


def test_a_renewed_lease_moves_nothing(owner: User) -> None:
    waiting_reply(conversation_of(owner))
    relay()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE chat_message SET lease_expires_at = now()")
        cursor.execute("SELECT count(*) FROM caching_invalidationoutbox")
        assert cursor.fetchone() == (0,)


def test_a_conversation_comes_out_of_json_as_it_went_in(owner: User) -> None:
    conversation = conversation_of(owner, turns=2, sources="CHOSEN")
    document = served(owner)
    conversation.chosen_documents.set([document])
    cite(conversation, document)
    Feedback.objects.create(
        message_id=conversation.active_leaf_id, is_positive=False, reason="wrong"
    )
    tree = read_tree(conversation.pk)
    assert tree is not None
    assert len(tree.messages) == 4
    assert tree.messages[-1].citations[0].document_id == document.pk
    assert Tree.from_json(tree.to_json()) == tree


def test_a_conversation_that_is_too_large_is_read_each_time(owner: User, own: Client) -> None:
    CachePolicy.objects.create(keyspace="chat:conversation:1", max_value_bytes=1024)
    policies.forget()
    conversation = conversation_of(owner, turns=10)
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert len(page(own, conversation)["branch"]) == 20
        assert any("chat_message" in query["sql"] for query in queries)


def test_pages_come_without_valkey(owner: User, own: Client, settings: Any) -> None:
    conversation = conversation_of(owner)
    warm(own, conversation)
    with unreachable(settings):
        services.rename(conversation=conversation, title="New")
        assert page(own, conversation)["conversation"].title == "New"
        assert titles(own) == ["New"]


def test_the_turns_before_a_question_are_read_once(owner: User) -> None:
    conversation = conversation_of(owner, turns=3)
    turns = []
    for _regenerated in range(2):
        reply = waiting_reply(conversation)
        with CaptureQueriesContext(connection) as queries:
            turns.append(history.before(reply))
    assert len(turns[0]) == 6
    assert turns[0] == turns[1]
    assert not any("chat_message" in query["sql"] for query in queries)
    first = waiting_reply(conversation_of(owner, turns=0))
    assert history.before(first) == ()
