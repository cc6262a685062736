"""The parameters of replies and embeddings act while everything runs, seen at a provider over real HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from apps.accounts.models import User
from apps.billing.models import Purpose
from apps.chat.models import Conversation, Message
from apps.chat.prepare import prepare
from apps.chat.types import Prepared
from apps.documents import ingestion, retrieval, sentences
from apps.llm.models import LLMModel, Route
from tests.factories.billing import call_context
from tests.factories.chat import conversation_of, waiting_reply
from tests.factories.documents import served, uploaded
from tests.factories.llm import route_to
from tests.fake_provider import DIMENSIONS, FakeProvider
from tests.tuning.turning import turns

# Provider calls give the connection back, which a test inside a transaction cannot.
pytestmark = pytest.mark.django_db(transaction=True)

Turn = Callable[[str, Any], None]
LEAVE = "Annual leave is 28 days."


def routes(fake: FakeProvider, **model_fields: Any) -> None:
    route_to(fake, **model_fields)
    route_to(fake, Route.Use.EMBEDDING)


def weak(fake: FakeProvider) -> None:
    routes(fake, grounding=LLMModel.Grounding.SENTENCES)


def reply_to(owner: User, content: str, *, turns: int = 0) -> Message:
    conversation = conversation_of(owner, turns=turns, sources=Conversation.Sources.ALL)
    reply = waiting_reply(conversation)
    Message.objects.filter(pk=reply.parent_id).update(content=content)
    return reply


def prepared(owner: User, content: str, *, turns: int = 0) -> Prepared:
    found = prepare(reply_to(owner, content, turns=turns).pk)
    assert found
    return found


@turns("chat.answer_similarity_threshold")
def test_the_least_similarity_that_is_answered(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    weak(fake_provider)
    served(owner, LEAVE)
    question = "How much annual leave?"
    for text, vector in ((question, (1.0, 0.0)), (LEAVE, (0.6, 0.8))):
        fake_provider.vectors[text] = padded(*vector)
    assert prepared(owner, question).ask
    turn("chat.answer_similarity_threshold", 0.7)
    assert prepared(owner, question).ask is None


def padded(*coordinates: float) -> np.ndarray:
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[: len(coordinates)] = coordinates
    return vector


@turns("chat.sentence_count")
def test_how_many_near_ties_a_weak_model_is_given(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    weak(fake_provider)
    for name in ("one", "two"):
        served(owner, LEAVE, name=name)
    assert len(prepared(owner, LEAVE).basis.places) == 1
    turn("chat.sentence_count", 2)
    assert len(prepared(owner, LEAVE).basis.places) == 2


@turns("chat.retrieval_passage_count")
def test_how_many_passages_a_strong_model_is_given(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    routes(fake_provider)
    served(owner, *[f"Annual leave, page {number}." for number in range(4)])
    assert len(prepared(owner, "What about annual leave?").basis.places) == 4
    turn("chat.retrieval_passage_count", 2)
    assert len(prepared(owner, "What about annual leave?").basis.places) == 2


@turns("chat.history_tokens")
def test_how_much_of_the_conversation_goes_along(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    routes(fake_provider)
    served(owner, LEAVE)

    def roles() -> list[str]:
        ask = prepared(owner, "What about annual leave?", turns=2).ask
        assert ask
        return [message.role for message in ask.messages]

    assert roles() == ["system", *["user", "assistant"] * 2, "user"]
    turn("chat.history_tokens", 0)
    assert roles() == ["system", "user"]


@turns("chat.reply_lease_seconds")
def test_how_long_a_process_holds_a_reply(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    routes(fake_provider)
    served(owner, LEAVE)
    for seconds in (30, 300):
        if seconds != 30:
            turn("chat.reply_lease_seconds", seconds)
        reply = reply_to(owner, "What about annual leave?")
        prepare(reply.pk)
        reply.refresh_from_db()
        assert reply.started_at
        assert reply.lease_expires_at == reply.started_at + timedelta(seconds=seconds)


@turns("documents.sentence_candidate_count")
def test_how_many_sentences_are_compared(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)
    served(owner, "Annual leave is 28 days. It is booked in the portal. Hotels cost 185 pounds.")
    department_id = owner.memberships.get().department_id

    def compared() -> int:
        def context() -> Any:
            return call_context(department_id=department_id, purpose=Purpose.QUERY_EMBEDDING)

        question = "How much annual leave is there?"
        found = retrieval.search(user=owner, question=question, context=context())
        best = sentences.best_sentences(
            retrieval=found, question=question, context=context(), count=20
        )
        return len(best)

    assert compared() == 3
    turn("documents.sentence_candidate_count", 1)
    assert compared() == 1


@turns("documents.embedding_batch_size")
def test_how_many_passages_go_in_one_call(
    fake_provider: FakeProvider, owner: User, turn: Turn
) -> None:
    route_to(fake_provider, Route.Use.EMBEDDING)

    def batches(subject: str) -> list[int]:
        text = " ".join(f"The {subject} number {number} hums in its house." for number in range(90))
        before = len(fake_provider.requests)
        ingestion.run(uploaded(owner, text, name=f"{subject}.txt").runs.get().pk)
        return [len(request.body["input"]) for request in fake_provider.requests[before:]]

    [together] = batches("pump")
    assert together > 1
    turn("documents.embedding_batch_size", 1)
    assert batches("engine") == [1] * together
