"""What the conversation page shows, built with a number of queries that does not grow with the messages."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from uuid import UUID

from django.http import Http404

from apps.accounts.models import User
from apps.caching import store
from apps.chat import conversations
from apps.chat.cache import CONVERSATION
from apps.chat.message_views import MessageView, citations_of, view_of
from apps.chat.models import Conversation, Message
from apps.chat.tree import MessageNode, Tree, nodes_of, read_tree
from apps.documents import readable
from apps.documents.types import Named
from apps.llm import errors
from apps.llm import services as llm
from apps.llm.models import Route


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
    citations = citations_of(user, branch)
    return [
        view_of(message, [one.pk for one in children[message.parent_id]], citations[message.pk])
        for message in branch
    ]


def message_view(*, user: User, message: Message) -> MessageView:
    """Return one message as the page shows it, for an answer that has just ended."""
    siblings = Message.objects.filter(
        conversation_id=message.conversation_id, parent_id=message.parent_id
    )
    sibling_ids = list(siblings.order_by("created_at", "pk").values_list("pk", flat=True))
    [node] = nodes_of([message])
    return view_of(node, sibling_ids, citations_of(user, [node])[node.pk])


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
