"""The list of conversations: its pages, its search, and the search of the command palette."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.caching import store
from apps.chat.cache import CONVERSATION_LIST
from apps.chat.listing import ConversationItem, ConversationPage
from apps.chat.models import Conversation, Message
from apps.chat.querysets import ConversationQuerySet
from apps.documents.models import Document

PAGE_SIZE = 30
PALETTE_SIZE = 6
SNIPPET_CHARACTERS = 120
SNIPPET_BEFORE = 30


class CursorError(ValueError):
    """The cursor was not made here."""


def list_page(
    *, user: User, query: str = "", is_archived: bool = False, after: str = ""
) -> ConversationPage:
    """Return a page of the person's conversations, those with the query in title or text if one is given.

    Raises:
        CursorError: `after` is none of ours.
    """
    if not query and not after:
        return store.get_or_compute(
            CONVERSATION_LIST,
            (user.pk, int(is_archived)),
            partial(_read_page, user=user, is_archived=is_archived),
        )
    return _read_page(user=user, query=query, is_archived=is_archived, after=after)


def _read_page(
    *, user: User, query: str = "", is_archived: bool = False, after: str = ""
) -> ConversationPage:
    conversations = Conversation.objects.visible_to(user)
    conversations = conversations.archived() if is_archived else conversations.current()
    if query:
        conversations = _matching(conversations, query)
    if after:
        updated_at, pk = _read_cursor(after)
        conversations = conversations.filter(
            Q(updated_at__lt=updated_at) | Q(updated_at=updated_at, pk__lt=pk)
        )
    items = list(conversations[: PAGE_SIZE + 1])
    has_more = len(items) > PAGE_SIZE
    items = items[:PAGE_SIZE]
    snippets = _snippets(items, query) if query else {}
    shown = tuple(
        ConversationItem(
            one.pk, one.title, one.is_archived, one.updated_at, snippets.get(one.pk, "")
        )
        for one in items
    )
    return ConversationPage(shown, _make_cursor(items[-1]) if has_more else "")


def _snippets(conversations: Sequence[Conversation], query: str) -> dict[UUID, str]:
    """Return what stands around the words in each conversation's first message that has them."""
    found = (
        Message.objects.filter(conversation__in=conversations, content__icontains=query)
        .order_by("conversation_id", "created_at")
        .distinct("conversation_id")
        .values_list("conversation_id", "content")
    )
    return {conversation_id: _snippet(content, query) for conversation_id, content in found}


def _snippet(content: str, query: str) -> str:
    text = " ".join(content.split())
    at = max(text.lower().find(query.lower()), 0)
    start = max(at - SNIPPET_BEFORE, 0)
    return ("…" if start else "") + text[start : start + SNIPPET_CHARACTERS]


def _matching(conversations: ConversationQuerySet, text: str) -> ConversationQuerySet:
    """Narrow to those with the text in their title or in one of their messages, in any case of letters."""
    said = Message.objects.filter(conversation=OuterRef("pk"), content__icontains=text)
    return conversations.filter(Q(title__icontains=text) | Exists(said))


def _make_cursor(conversation: Conversation) -> str:
    text = f"{conversation.updated_at.isoformat()} {conversation.pk}"
    return urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        moment, pk = urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return datetime.fromisoformat(moment), UUID(pk)
    except ValueError as error:
        raise CursorError(cursor) from error


def palette(*, user: User, query: str) -> list[dict[str, str]]:
    """Return what the command palette finds: pages, conversations, documents; the latest ones for an empty query."""
    lowered = query.lower()
    pages = [
        {"kind": "page", "title": title, "url": reverse(name), "detail": ""}
        for title, name in ((_("New conversation"), "chat:new"), (_("Documents"), "documents:list"))
        if lowered in title.lower()
    ]
    conversations = Conversation.objects.visible_to(user).order_by("-updated_at", "-id")
    documents = Document.objects.visible_to(user).order_by("-uploaded_at", "-id")
    if query:
        conversations = _matching(conversations, query)
        documents = documents.filter(name__icontains=query)
    return [
        *pages,
        *(
            {
                "kind": "conversation",
                "title": conversation.title,
                "url": reverse("chat:conversation-detail", args=[conversation.pk]),
                "detail": _("Archived") if conversation.is_archived else "",
            }
            for conversation in conversations[:PALETTE_SIZE]
        ),
        *(
            {
                "kind": "document",
                "id": str(document.pk),
                "title": document.name,
                "url": reverse("documents:detail", args=[document.pk]),
                "detail": document.get_status_display()
                if document.status != Document.Status.READY
                else "",
            }
            for document in documents[:PALETTE_SIZE]
        ),
    ]
