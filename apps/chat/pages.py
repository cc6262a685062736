"""What the conversation page shows, built with a number of queries that does not grow with the messages."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any, Self
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.caching import store
from apps.chat import conversations, failures, markdown
from apps.chat.cache import CONVERSATION
from apps.chat.citations import place_url
from apps.chat.models import Citation, Conversation, Message
from apps.chat.tree import CitationNode, MessageNode, Tree, nodes_of, read_tree
from apps.core.templatetags.ui import when
from apps.documents import readable
from apps.documents.types import Named
from apps.llm import errors
from apps.llm import services as llm
from apps.llm.models import Route


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
class EarlierView:
    """That a reply was given from an earlier one: in words, how long ago that was, and what this one cost."""

    words: str
    ago: str
    total_nanos: int


@dataclass(frozen=True)
class MessageView:
    """A message as the page shows it."""

    id: UUID
    role: str
    state: str
    content: str
    created_at: datetime
    parent: str
    is_unfinished: bool
    error_code: str = ""
    error_message: str = ""
    can_retry: bool = False
    refusing_budget: str = ""
    siblings: int = 1
    sibling_number: int = 1
    previous_sibling_url: str = ""
    next_sibling_url: str = ""
    feedback: bool | None = None
    feedback_reason: str = ""
    citations: Sequence[CitationView] = ()
    receipt: dict[str, Any] | None = None
    earlier: EarlierView | None = None

    @cached_property
    def html(self) -> SafeString:
        """The text as safe HTML, made when a template asks: a page the browser has already never does."""
        if self.role == Message.Role.USER:
            return markdown.plain(self.content)
        chips = [
            markdown.Chip(one.pk, one.number, one.document_name, one.page_number, one.is_available)
            for one in self.citations
        ]
        return markdown.render(self.content, chips=chips)


@dataclass(frozen=True, slots=True)
class Heading:
    """A conversation without its messages, as its page shows it."""

    id: UUID
    title: str
    sources: str
    is_archived: bool

    @classmethod
    def of(cls, tree: Tree) -> Self:
        """Return the heading of a whole conversation."""
        return cls(tree.id, tree.title, tree.sources, tree.is_archived)


def conversation_page(
    *,
    user: User,
    conversation: Tree | None,
    leaf: UUID | None = None,
    query: str = "",
    is_archived_list: bool = False,
) -> dict[str, Any]:
    """Return the context of chat/conversation.html.

    Raises:
        Http404: the leaf is no message of the conversation.
    """
    branch = _branch_of(user, conversation, leaf) if conversation else []
    departments = readable.departments_of(user)
    documents = readable.choosable(user)
    return {
        "conversation": conversation and Heading.of(conversation),
        "conversations": conversations.list_page(
            user=user, query=query, is_archived=is_archived_list
        ),
        "departments": departments,
        "paying_department": _payer_of(conversation, departments)
        if conversation
        else readable.default_department(user, departments),
        "documents": documents.first,
        "document_count": documents.count,
        "chosen_ids": conversation.chosen_ids if conversation else (),
        "model_name": _model_name(),
        # Not "messages": that name is django.contrib.messages' in every template.
        "branch": branch,
        "leaf_id": str(branch[-1].id) if branch else "",
        "is_running": any(message.is_unfinished for message in branch),
        "query": query,
        "archived": is_archived_list,
    }


def own_tree(user: User, pk: UUID) -> Tree | None:
    """Return a conversation through the cache, None where the person has none of this id."""
    tree = store.get_or_compute(CONVERSATION, (pk,), partial(read_tree, pk))
    # Whose it is, is asked of the value at each read: the key alone opens nothing.
    return tree if tree is not None and tree.user_id == user.pk else None


def _payer_of(conversation: Tree, departments: Sequence[Named]) -> Named:
    pk = conversation.paying_department_id
    known = {one.id: one for one in departments}
    if pk in known:
        return known[pk]
    # The person has left it since.
    return Named(pk, readable.names_of([(readable.DEPARTMENT, pk)]).get(pk, ""))


def _model_name() -> str:
    try:
        return llm.choose(Route.Use.ANSWER).model_name
    except errors.NoModelError:
        return ""


def branch_views(
    *, user: User, conversation: Conversation, leaf: UUID | None = None
) -> list[MessageView]:
    """Return the messages from the first to the leaf's last descendant, or of the branch last used."""
    tree = own_tree(user, conversation.pk)
    return _branch_of(user, tree, leaf) if tree else []


def _branch_of(user: User, tree: Tree, leaf: UUID | None) -> list[MessageView]:
    messages = {message.pk: message for message in tree.messages}
    children: dict[UUID | None, list[MessageNode]] = defaultdict(list)
    for message in tree.messages:
        children[message.parent_id].append(message)
    branch = _branch(messages, children, leaf or tree.active_leaf_id, must_exist=leaf is not None)
    citations = _citations(user, branch)
    return [
        _view(message, [one.pk for one in children[message.parent_id]], citations[message.pk])
        for message in branch
    ]


def message_view(*, user: User, message: Message) -> MessageView:
    """Return one message as the page shows it, for an answer that has just ended."""
    siblings = Message.objects.filter(
        conversation_id=message.conversation_id, parent_id=message.parent_id
    )
    sibling_ids = list(siblings.order_by("created_at", "pk").values_list("pk", flat=True))
    [node] = nodes_of([message])
    return _view(node, sibling_ids, _citations(user, [node])[node.pk])


Children = Mapping[UUID | None, Sequence[MessageNode]]


def _branch(
    messages: dict[UUID, MessageNode], children: Children, leaf: UUID | None, *, must_exist: bool
) -> list[MessageNode]:
    """Return the path through the leaf; below it, the latest of each fork."""
    if leaf not in messages:
        if must_exist:
            raise Http404
        leaf = next(reversed(messages), None)
    if leaf is None:
        return []
    path: list[MessageNode] = []
    step: UUID | None = leaf
    while step is not None:
        path.append(messages[step])
        step = messages[step].parent_id
    path.reverse()
    while children.get(path[-1].pk):
        path.append(children[path[-1].pk][-1])
    return path


def _citations(
    user: User, messages: Sequence[MessageNode]
) -> Mapping[UUID, Sequence[CitationView]]:
    """Return the citations of each message; which documents the person may read is asked now."""
    document_ids = {
        one.document_id for message in messages for one in message.citations if one.document_id
    }
    can_read = set(readable.readable_facts(user, document_ids)) if document_ids else set()
    return {
        message.pk: [citation_view(one, can_read) for one in message.citations]
        for message in messages
    }


def citation_view(citation: Citation | CitationNode, can_read: Collection[UUID]) -> CitationView:
    """Return a citation for a person who can read these documents."""
    is_available = citation.document_id in can_read and citation.version_id is not None
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


def _view(
    message: MessageNode, siblings: Sequence[UUID], citations: Sequence[CitationView]
) -> MessageView:
    position = siblings.index(message.pk)
    is_positive, reason = message.feedback or (None, "")
    failure = _failure(message)
    return MessageView(
        id=message.pk,
        role=message.role,
        state=message.state,
        content=message.content,
        created_at=message.created_at,
        parent=str(message.parent_id or "root"),
        is_unfinished=message.is_unfinished,
        error_code=message.error_code,
        error_message=failure.message if failure else "",
        can_retry=bool(failure and failure.can_retry),
        refusing_budget=failure.budget_id if failure else "",
        siblings=len(siblings),
        sibling_number=position + 1,
        previous_sibling_url=_sibling_url(message, siblings, position - 1),
        next_sibling_url=_sibling_url(message, siblings, position + 1),
        feedback=is_positive,
        feedback_reason=reason,
        citations=citations,
        receipt=_receipt(message),
        earlier=_earlier(message.receipt),
    )


def _failure(message: MessageNode) -> failures.Failure | None:
    if message.state != Message.State.FAILED:
        return None
    refusal = (message.receipt or {}).get("refusal")
    if refusal:
        return failures.Failure(refusal["text"], can_retry=True, budget_id=refusal["budget_id"])
    return failures.explain(message.error_code)


def _earlier(receipt: dict[str, Any] | None) -> EarlierView | None:
    words = {
        "exact": _("Answered from an earlier, identical question"),
        "semantic": _("Answered from an earlier question that means the same"),
    }
    layer = receipt["cache_layer"] if receipt and "answered_at" in receipt else ""
    if receipt is None or layer not in words:
        return None
    answered_at = datetime.fromisoformat(receipt["answered_at"])
    return EarlierView(words[layer], when(answered_at), receipt["total_nanos"])


def _receipt(message: MessageNode) -> dict[str, Any] | None:
    """Return the receipt with its stages under names for people."""
    if message.receipt is None:
        return None
    names = {
        "claim": _("Starting"),
        "earlier": _("Looking for an earlier answer"),
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


def _sibling_url(message: MessageNode, siblings: Sequence[UUID], position: int) -> str:
    if not 0 <= position < len(siblings):
        return ""
    page = reverse("chat:conversation-detail", args=[message.conversation_id])
    return f"{page}?leaf={siblings[position]}"
