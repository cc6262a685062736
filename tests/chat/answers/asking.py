"""Questions asked and answered in the test's own process, with the real services, database and Valkey."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np

from apps.accounts.models import User
from apps.chat import services
from apps.chat.finish import finish
from apps.chat.models import Conversation, Message
from apps.chat.prepare import prepare
from apps.chat.services import Draft, Posted
from apps.chat.types import Outcome
from apps.core.ids import uuid7
from apps.llm.models import Route
from tests.factories.llm import route_to
from tests.fake_provider import DIMENSIONS, FakeProvider

QUESTION = "How many days of annual leave are there?"
ANSWER = "There are 28 days of annual leave [1]."


def routes(fake: FakeProvider, **model_fields: Any) -> None:
    """Make the routes for answers and embeddings."""
    route_to(fake, **model_fields)
    route_to(fake, Route.Use.EMBEDDING)


def ask(
    user: User,
    question: str = QUESTION,
    *,
    answer: str = ANSWER,
    sources: str = Conversation.Sources.ALL,
    document_ids: Sequence[UUID] = (),
    **fields: Any,
) -> Message:
    """Ask and see the reply to its end; a model that is asked says `answer`. What was given again has a cache layer."""
    draft = Draft(
        content=question,
        idempotency_key=uuid7(),
        sources=sources,
        document_ids=document_ids,
        **fields,
    )
    return ended(services.post_message(user=user, draft=draft), answer=answer)


def ask_afresh(user: User, reply: Message, *, answer: str = ANSWER) -> Message:
    """Ask for another answer beside this one."""
    posted = services.regenerate(user=user, reply=reply, idempotency_key=uuid7())
    return ended(posted, answer=answer)


def ended(posted: Posted, *, answer: str = ANSWER, **outcome: Any) -> Message:
    """Prepare and finish a posted reply, unless it is done."""
    if posted.reply.is_unfinished:
        prepared = prepare(posted.reply.pk)
        if prepared is not None:
            is_asked = prepared.ask is not None
            values = {
                "state": Message.State.DONE,
                "text": answer if is_asked else prepared.text,
                "finish_reason": "stop" if is_asked else "",
                "total_ms": 900.0,
                **outcome,
            }
            finish(posted.reply.pk, prepared.basis, Outcome(**values))
    return Message.objects.get(pk=posted.reply.pk)


def layer(reply: Message) -> str:
    """Return where a reply came from."""
    assert reply.receipt is not None
    return str(reply.receipt["cache_layer"])


def near(similarity: float, *, axis: int = 1) -> np.ndarray:
    """Return a unit vector this near to the first axis; those of another axis lean to another side."""
    vector = np.zeros(DIMENSIONS)
    vector[0] = similarity
    vector[axis] = np.sqrt(1 - similarity**2)
    return vector
