"""Makes conversations and their messages."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.models import Citation, Conversation, Message
from apps.core.ids import uuid7


class ConversationFactory(factory.django.DjangoModelFactory[Conversation]):
    """An empty conversation of `user`, paid by their first department, that asks no documents."""

    class Meta:
        model = Conversation

    paying_department = factory.LazyAttribute(
        lambda made: made.user.memberships.select_related("department").first().department
    )
    title = factory.Sequence(lambda n: f"Conversation {n}")
    sources = Conversation.Sources.NONE


class QuestionFactory(factory.django.DjangoModelFactory[Message]):
    """A question."""

    class Meta:
        model = Message

    role = Message.Role.USER
    content = factory.Sequence(lambda n: f"Question {n}?")


class ReplyFactory(factory.django.DjangoModelFactory[Message]):
    """A finished reply."""

    class Meta:
        model = Message

    role = Message.Role.ASSISTANT
    content = factory.Sequence(lambda n: f"Answer **{n}**.")
    request_id = factory.LazyFunction(uuid7)


class CitationFactory(factory.django.DjangoModelFactory[Citation]):
    """A citation of a document that is gone, unless one is given."""

    class Meta:
        model = Citation

    number = 1
    document_name = "leave-policy.md"
    page_number = 1
    start_offset = 0
    end_offset = 10


def conversation_of(user: User, *, turns: int = 1, **fields: Any) -> Conversation:
    """Return a conversation with this many questions and answers, a second apart."""
    conversation = ConversationFactory(user=user, **fields)
    begin = timezone.now() - timedelta(seconds=2 * turns + 1)
    parent: Message | None = None
    for number in range(turns):
        moments: Sequence[Any] = [begin + timedelta(seconds=2 * number + step) for step in (0, 1)]
        question = QuestionFactory(conversation=conversation, parent=parent, created_at=moments[0])
        parent = ReplyFactory(conversation=conversation, parent=question, created_at=moments[1])
    conversation.active_leaf = parent
    conversation.save(update_fields=["active_leaf"])
    return conversation


def waiting_reply(conversation: Conversation, **fields: Any) -> Message:
    """Return an unfinished reply to a new question of the conversation."""
    question = QuestionFactory(conversation=conversation, parent=conversation.active_leaf)
    values = {
        "state": Message.State.PENDING,
        "content": "",
        "lease_expires_at": timezone.now(),
        **fields,
    }
    reply: Message = ReplyFactory(conversation=conversation, parent=question, **values)
    return reply
