"""The pages a browser keeps, of one person among others; how it asks again, and all that can happen meanwhile."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Department, Membership, User
from apps.accounts.services import everyone
from apps.chat import services as chat
from apps.chat.models import Citation, Conversation, Message
from apps.documents import services as documents
from apps.documents.models import Document, IngestRun
from apps.documents.types import Sharing, Visibility
from apps.llm.models import LLMModel
from tests.factories.accounts import DepartmentFactory, MembershipFactory
from tests.factories.chat import CitationFactory, conversation_of, waiting_reply
from tests.factories.documents import served, served_version
from tests.factories.llm import RouteFactory

TOKEN = re.compile(rb'(data-csrf="|name="csrfmiddlewaretoken" value=")[A-Za-z0-9]{64}')
RECEIPT = {
    "total_nanos": 1, "amount_nanos": 1, "retrieval_nanos": 0, "stages": {"model": 3.5},
    "first_token_ms": 1.5, "total_ms": 3.5, "cache_layer": "none", "source_count": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """The owner with a conversation that cites a colleague's document, which everyone may read at first."""

    owner: User
    colleague: User
    client: Client
    conversation: Conversation
    reply: Message
    citation: Citation
    document: Document
    own_document: Document

    @property
    def urls(self) -> dict[str, str]:
        return {
            "page": reverse("chat:conversation-detail", args=[self.conversation.pk]),
            "new": reverse("chat:new"),
            "list": reverse("chat:conversation-list"),
            "found": reverse("chat:conversation-list") + "?q=days",
            "citation": reverse("chat:citation", args=[self.citation.pk]),
            "documents": reverse("documents:list"),
            "rows": reverse("documents:list") + "?partial=1",
            "detail": reverse("documents:detail", args=[self.document.pk]),
            "own": reverse("documents:detail", args=[self.own_document.pk]),
            "pages": reverse("documents:pages", args=[self.document.pk]) + "?from=1",
        }


@pytest.fixture
def world(owner: User, colleague: User) -> World:
    RouteFactory()
    document = served(colleague, "Annual leave is 28 days.", name="leave.pdf", audience=everyone())
    own = served(owner, "Pumps.", name="pumps.pdf")
    conversation = conversation_of(owner, turns=2, title="About leave")
    reply = Message.objects.get(pk=conversation.active_leaf_id)
    Message.objects.filter(pk=reply.pk).update(content="It is 28 days [1].")
    citation = CitationFactory(
        message=reply,
        document=document,
        version=document.active_version,
        document_name=document.name,
        start_offset=0,
        end_offset=24,
    )
    client = Client()
    client.force_login(owner)
    # The first page gives the CSRF cookie.
    client.get(reverse("documents:list"))
    return World(owner, colleague, client, conversation, reply, citation, document, own)


def body(response: Any) -> bytes:
    """Return what is shown: all but the token's mask."""
    return TOKEN.sub(rb"\1", response.content)


def asked_again(client: Client, url: str, etag: str, **headers: str) -> Any:
    return client.get(url, headers={"If-None-Match": etag, **headers})


def change_visibility(world: World, sharing: Sharing, **fields: Any) -> None:
    documents.change_visibility(
        document=world.document, by=world.colleague, visibility=Visibility(sharing, **fields)
    )


def serve_another_version(world: World) -> None:
    version = served_version(world.document, ["Annual leave is 30 days.", "More."])
    Document.objects.filter(pk=world.document.pk).update(active_version=version)


def reindex(world: World) -> None:
    documents.reindex(document=world.document)
    IngestRun.objects.filter(document=world.document, state=IngestRun.State.WAITING).update(
        state=IngestRun.State.RUNNING, step=IngestRun.Step.EMBED, done_count=3, total_count=9
    )
    Document.objects.filter(pk=world.document.pk).update(status=Document.Status.READING)


def edit_reply(**fields: Any) -> Callable[[World], Any]:
    return lambda world: Message.objects.filter(pk=world.reply.pk).update(**fields)


def judge(world: World, *, is_positive: bool | None) -> None:
    chat.give_feedback(reply=world.reply, is_positive=is_positive, reason="", comment="")


def edit_owner(**fields: Any) -> Callable[[World], Any]:
    return lambda world: User.objects.filter(pk=world.owner.pk).update(**fields)


CHAT = {"page", "new", "list"}
FRAMED = {"page", "new", "documents", "detail", "own"}
ALL = {"page", "new", "list", "found", "citation", "documents", "rows", "detail", "own", "pages"}

# What happens, and where it must be seen; elsewhere the oracle alone decides.
CHANGES: dict[str, tuple[Callable[[World], Any], set[str]]] = {
    "renamed": (lambda w: chat.rename(conversation=w.conversation, title="Holidays"), CHAT),
    "archived": (lambda w: chat.set_archived(conversation=w.conversation, is_archived=True), CHAT),
    "another conversation": (lambda w: conversation_of(w.owner), CHAT),
    "a question asked": (lambda w: waiting_reply(w.conversation), {"page"}),
    "a reply begun": (edit_reply(state="RUNNING"), {"page"}),
    "a reply stopped": (edit_reply(state="STOPPED"), {"page"}),
    "a reply failed": (edit_reply(state="FAILED", error_code="lost"), {"page"}),
    "a reply's text": (edit_reply(content="The answer is 30 days [1]."), {"page", "found"}),
    "a receipt": (edit_reply(receipt=RECEIPT), {"page"}),
    "a thumb up": (lambda w: judge(w, is_positive=True), {"page"}),
    "a thumb down": (lambda w: judge(w, is_positive=False), {"page"}),
    "access taken": (
        lambda w: change_visibility(w, Sharing.ME),
        {"page", "new", "citation", "documents", "rows", "detail", "pages"},
    ),
    "shared with fewer": (
        lambda w: change_visibility(w, Sharing.PEOPLE, people=[w.owner]),
        {"documents", "rows", "detail"},
    ),
    "a document renamed": (
        lambda w: documents.rename(document=w.document, name="holidays.pdf"),
        {"page", "new", "documents", "rows", "detail"},
    ),
    "a document tagged": (
        lambda w: documents.set_tags(document=w.document, tags=["hr"]),
        {"documents", "rows", "detail"},
    ),
    "a document deleted": (
        lambda w: documents.delete(document=w.document),
        {"page", "new", "citation", "documents", "rows", "detail", "pages"},
    ),
    "another version": (serve_another_version, {"detail", "pages", "documents", "rows"}),
    "read anew": (reindex, {"detail", "documents", "rows"}),
    "a new document": (lambda w: served(w.owner), {"page", "new", "documents", "rows"}),
    "a department renamed": (
        lambda w: Department.objects.filter(memberships__user=w.owner).update(name="Service"),
        {"page", "new", "documents", "own"},
    ),
    "one department more": (
        lambda w: MembershipFactory(user=w.owner, department=DepartmentFactory()),
        {"new", "documents", "own"},
    ),
    "in no department": (
        lambda w: Membership.objects.filter(user=w.owner).delete(),
        {"page", "new", "documents", "own"},
    ),
    "another model": (lambda _w: LLMModel.objects.update(name="Other"), {"page", "new"}),
    "a new name": (edit_owner(full_name="Olga"), FRAMED | {"documents", "rows", "own"}),
    "made an operator": (edit_owner(is_operator=True), FRAMED),
    "deactivated": (edit_owner(is_active=False), ALL),
    "a new password": (edit_owner(password=make_password("another long password")), ALL),
}
