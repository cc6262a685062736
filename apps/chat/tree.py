"""A conversation with all its messages as one frozen value, as it is kept; only its owner is shown it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from apps.chat.models import Citation, Conversation, Feedback, Message


@dataclass(frozen=True, slots=True)
class CitationNode:
    """A citation as it was stored; whether its document can be read is asked when it is shown."""

    pk: int
    number: int
    document_id: UUID | None
    version_id: UUID | None
    document_name: str
    page_number: int
    start_offset: int
    end_offset: int

    @classmethod
    def of(cls, citation: Citation) -> Self:
        """Return a citation's row as a value."""
        return cls(**{name: getattr(citation, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class MessageNode:
    """A message; `feedback` is the judgement and its reason."""

    pk: UUID
    conversation_id: UUID
    parent_id: UUID | None
    role: str
    state: str
    content: str
    error_code: str
    receipt: dict[str, Any] | None
    created_at: datetime
    citations: tuple[CitationNode, ...] = ()
    feedback: tuple[bool, str] | None = None

    @property
    def is_unfinished(self) -> bool:
        """Say whether a reply is still waiting or being written."""
        return self.state in Message.UNFINISHED


@dataclass(frozen=True, slots=True)
class Tree:
    """A conversation and its messages of all branches, in the order they were made."""

    id: UUID
    user_id: UUID
    paying_department_id: UUID
    title: str
    sources: str
    chosen_ids: tuple[UUID, ...]
    active_leaf_id: UUID | None
    is_archived: bool
    messages: tuple[MessageNode, ...]

    @property
    def pk(self) -> UUID:
        """Return the id, as of a row."""
        return self.id

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        data = {name: getattr(self, name) for name in self.__slots__}
        return data | {
            "id": str(self.id),
            "user_id": str(self.user_id),
            "paying_department_id": str(self.paying_department_id),
            "chosen_ids": [str(pk) for pk in self.chosen_ids],
            "active_leaf_id": _text(self.active_leaf_id),
            "messages": [_message_to_json(message) for message in self.messages],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data."""
        pk = UUID(data["id"])
        return cls(
            **data
            | {
                "id": pk,
                "user_id": UUID(data["user_id"]),
                "paying_department_id": UUID(data["paying_department_id"]),
                "chosen_ids": tuple(map(UUID, data["chosen_ids"])),
                "active_leaf_id": _id(data["active_leaf_id"]),
                "messages": tuple(_message_from_json(pk, one) for one in data["messages"]),
            }
        )


def _text(pk: UUID | None) -> str | None:
    return str(pk) if pk else None


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _message_to_json(message: MessageNode) -> list[Any]:
    citations = [
        asdict(one) | {"document_id": _text(one.document_id), "version_id": _text(one.version_id)}
        for one in message.citations
    ]
    return [
        str(message.pk),
        _text(message.parent_id),
        message.role,
        message.state,
        message.content,
        message.error_code,
        message.receipt,
        message.created_at.isoformat(),
        citations,
        message.feedback,
    ]


def _message_from_json(conversation_id: UUID, data: Sequence[Any]) -> MessageNode:
    pk, parent_id, role, state, content, error_code, receipt, created_at, cited, feedback = data
    citations = tuple(
        CitationNode(
            **one | {"document_id": _id(one["document_id"]), "version_id": _id(one["version_id"])}
        )
        for one in cited
    )
    return MessageNode(
        pk=UUID(pk),
        conversation_id=conversation_id,
        parent_id=_id(parent_id),
        role=role,
        state=state,
        content=content,
        error_code=error_code,
        receipt=receipt,
        created_at=datetime.fromisoformat(created_at),
        citations=citations,
        feedback=tuple(feedback) if feedback else None,
    )


def read_tree(conversation_id: UUID) -> Tree | None:
    """Return a conversation as the database has it: five queries, however many messages; None where there is none."""
    conversation = Conversation.objects.filter(pk=conversation_id).first()
    if conversation is None:
        return None
    messages = Message.objects.filter(conversation_id=conversation_id)
    return Tree(
        id=conversation.pk,
        user_id=conversation.user_id,
        paying_department_id=conversation.paying_department_id,
        title=conversation.title,
        sources=conversation.sources,
        chosen_ids=tuple(conversation.chosen_documents.order_by("pk").values_list("pk", flat=True)),
        active_leaf_id=conversation.active_leaf_id,
        is_archived=conversation.is_archived,
        messages=nodes_of(list(messages.order_by("created_at", "pk"))),
    )


def nodes_of(messages: Sequence[Message]) -> tuple[MessageNode, ...]:
    """Return messages with their citations and feedback, which take a query each."""
    ids = [message.pk for message in messages]
    citations: dict[UUID, list[CitationNode]] = defaultdict(list)
    for citation in Citation.objects.filter(message_id__in=ids).order_by("message_id", "number"):
        citations[citation.message_id].append(CitationNode.of(citation))
    feedback = {
        one.message_id: (one.is_positive, one.reason)
        for one in Feedback.objects.filter(message_id__in=ids)
    }
    return tuple(
        MessageNode(
            pk=message.pk,
            conversation_id=message.conversation_id,
            parent_id=message.parent_id,
            role=message.role,
            state=message.state,
            content=message.content,
            error_code=message.error_code,
            receipt=message.receipt,
            created_at=message.created_at,
            citations=tuple(citations[message.pk]),
            feedback=feedback.get(message.pk),
        )
        for message in messages
    )
