"""What the conversation page shows, built with a number of queries that does not grow with the messages."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.accounts import services as accounts
from apps.accounts.models import Department, User
from apps.chat import conversations, failures, markdown
from apps.chat.citations import place_url
from apps.chat.models import Citation, Conversation, Feedback, Message
from apps.documents.models import Document
from apps.llm import errors
from apps.llm import services as llm
from apps.llm.models import Route

CHOOSER_SIZE = 50


@dataclass(frozen=True, slots=True)
class CitationView:
    """A citation as its reader may see it now; without access there is no address."""

    pk: int
    number: int
    document_name: str
    page_number: int
    is_available: bool
    url: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as the page shows it."""

    id: UUID
    role: str
    state: str
    html: SafeString
    content: str
    created_at: datetime
    parent: str
    is_unfinished: bool
    error_code: str = ""
    error_message: str = ""
    can_retry: bool = False
    siblings: int = 1
    sibling_number: int = 1
    previous_sibling_url: str = ""
    next_sibling_url: str = ""
    feedback: bool | None = None
    feedback_reason: str = ""
    citations: Sequence[CitationView] = ()
    receipt: dict[str, Any] | None = None


def conversation_page(
    *,
    user: User,
    conversation: Conversation | None,
    leaf: UUID | None = None,
    query: str = "",
    is_archived_list: bool = False,
) -> dict[str, Any]:
    """Return the context of chat/conversation.html.

    Raises:
        Http404: the leaf is no message of the conversation.
    """
    branch = branch_views(user=user, conversation=conversation, leaf=leaf) if conversation else []
    documents = Document.objects.visible_to(user).filter(active_version__isnull=False)
    departments = list(Department.objects.payable_by(user))
    return {
        "conversation": conversation,
        "conversations": conversations.list_page(
            user=user, query=query, is_archived=is_archived_list
        ),
        "departments": departments,
        "paying_department": conversation.paying_department
        if conversation
        else _default_payer(user, departments),
        "documents": list(documents.order_by("name", "pk").only("pk", "name")[:CHOOSER_SIZE]),
        "document_count": documents.count(),
        "chosen_ids": list(conversation.chosen_documents.values_list("pk", flat=True))
        if conversation
        else [],
        "model_name": _model_name(),
        # Not "messages": that name is django.contrib.messages' in every template.
        "branch": branch,
        "leaf_id": str(branch[-1].id) if branch else "",
        "is_running": any(message.is_unfinished for message in branch),
        "query": query,
        "archived": is_archived_list,
    }


def _default_payer(user: User, departments: Sequence[Department]) -> Department | None:
    return accounts.paying_department(user) if departments else None


def _model_name() -> str:
    try:
        return llm.choose(Route.Use.ANSWER).model_name
    except errors.NoModelError:
        return ""


def branch_views(
    *, user: User, conversation: Conversation, leaf: UUID | None = None
) -> list[MessageView]:
    """Return the messages from the first to the leaf's last descendant, or of the branch last used."""
    messages = {
        message.pk: message
        for message in Message.objects.filter(conversation=conversation).order_by(
            "created_at", "pk"
        )
    }
    children = _children(messages.values())
    branch = _branch(
        messages, children, leaf or conversation.active_leaf_id, must_exist=leaf is not None
    )
    details = _details(user, [message.pk for message in branch])
    return [_view(message, children, details) for message in branch]


def message_view(*, user: User, message: Message) -> MessageView:
    """Return one message as the page shows it, for an answer that has just ended."""
    siblings = Message.objects.filter(
        conversation_id=message.conversation_id, parent_id=message.parent_id
    )
    children = {message.parent_id: list(siblings.order_by("created_at", "pk"))}
    return _view(message, children, _details(user, [message.pk]))


Children = Mapping[UUID | None, Sequence[Message]]


def _children(messages: Any) -> Children:
    children: dict[UUID | None, list[Message]] = defaultdict(list)
    for message in messages:
        children[message.parent_id].append(message)
    return children


def _branch(
    messages: dict[UUID, Message], children: Children, leaf: UUID | None, *, must_exist: bool
) -> list[Message]:
    """Return the path through the leaf; below it, the latest of each fork."""
    if leaf not in messages:
        if must_exist:
            raise Http404
        leaf = next(reversed(messages), None)
    if leaf is None:
        return []
    path: list[Message] = []
    step: UUID | None = leaf
    while step is not None:
        path.append(messages[step])
        step = messages[step].parent_id
    path.reverse()
    while children.get(path[-1].pk):
        path.append(children[path[-1].pk][-1])
    return path


@dataclass(frozen=True, slots=True)
class _Details:
    citations: Mapping[UUID, Sequence[CitationView]]
    feedback: Mapping[UUID, Feedback]


def _details(user: User, message_ids: Sequence[UUID]) -> _Details:
    cited = list(
        Citation.objects.filter(message_id__in=message_ids).order_by("message_id", "number")
    )
    document_ids = {citation.document_id for citation in cited if citation.document_id}
    readable = (
        set(
            Document.objects.visible_to(user)
            .filter(pk__in=document_ids)
            .values_list("pk", flat=True)
        )
        if document_ids
        else set()
    )
    citations: dict[UUID, list[CitationView]] = defaultdict(list)
    for citation in cited:
        citations[citation.message_id].append(citation_view(citation, readable))
    feedback = {one.message_id: one for one in Feedback.objects.filter(message_id__in=message_ids)}
    return _Details(citations, feedback)


def citation_view(citation: Citation, readable: set[UUID]) -> CitationView:
    """Return a citation for a person who can read these documents."""
    is_available = citation.document_id in readable and citation.version_id is not None
    url = (
        place_url(
            str(citation.document_id),
            str(citation.version_id),
            citation.start_offset,
            citation.end_offset,
        )
        if is_available
        else ""
    )
    return CitationView(
        citation.pk,
        citation.number,
        citation.document_name,
        citation.page_number,
        is_available,
        url,
    )


def _view(message: Message, children: Children, details: _Details) -> MessageView:
    siblings = [sibling.pk for sibling in children[message.parent_id]]
    position = siblings.index(message.pk)
    shown = details.citations.get(message.pk, ())
    feedback = details.feedback.get(message.pk)
    failure = (
        failures.explain(message.error_code) if message.state == Message.State.FAILED else None
    )
    return MessageView(
        id=message.pk,
        role=message.role,
        state=message.state,
        html=_html(message, shown),
        content=message.content,
        created_at=message.created_at,
        parent=str(message.parent_id or "root"),
        is_unfinished=message.is_unfinished,
        error_code=message.error_code,
        error_message=failure.message if failure else "",
        can_retry=bool(failure and failure.can_retry),
        siblings=len(siblings),
        sibling_number=position + 1,
        previous_sibling_url=_sibling_url(message, siblings, position - 1),
        next_sibling_url=_sibling_url(message, siblings, position + 1),
        feedback=feedback.is_positive if feedback else None,
        feedback_reason=feedback.reason if feedback else "",
        citations=shown,
        receipt=_receipt(message),
    )


def _html(message: Message, shown: Sequence[CitationView]) -> SafeString:
    if message.role == Message.Role.USER:
        return markdown.plain(message.content)
    chips = [
        markdown.Chip(one.pk, one.number, one.document_name, one.page_number, one.is_available)
        for one in shown
    ]
    return markdown.render(message.content, chips=chips)


def _receipt(message: Message) -> dict[str, Any] | None:
    """Return the receipt with its stages under names for people."""
    if message.receipt is None:
        return None
    names = {
        "claim": _("Starting"),
        "history": _("Reading the conversation"),
        "retrieval": _("Searching the documents"),
        "sentences": _("Choosing the best sentences"),
        "model": _("The model"),
    }
    stages = message.receipt.get("stages", {})
    return {
        **message.receipt,
        "stages": {names[name]: ms for name, ms in stages.items() if name in names},
    }


def _sibling_url(message: Message, siblings: Sequence[UUID], position: int) -> str:
    if not 0 <= position < len(siblings):
        return ""
    page = reverse("chat:conversation-detail", args=[message.conversation_id])
    return f"{page}?leaf={siblings[position]}"
