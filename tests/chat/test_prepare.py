"""How a claimed reply is answered: from passages, from sentences, or without a model."""

from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.chat.models import Conversation, Message
from apps.chat.prepare import prepare
from apps.llm.errors import NoModelError
from apps.llm.models import LLMModel, Route
from apps.tuning import services as tuning
from tests.factories.chat import conversation_of, waiting_reply
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

# Provider calls give the connection back, which a test inside a transaction cannot.
pytestmark = pytest.mark.django_db(transaction=True)

WEAK = {"grounding": LLMModel.Grounding.SENTENCES}


def routes(fake: FakeProvider, **model_fields: Any) -> None:
    """Make the routes for answers and embeddings."""
    route_to(fake, **model_fields)
    route_to(fake, Route.Use.EMBEDDING)


def asked(owner: User, content: str, *, turns: int = 0, **fields: Any) -> Message:
    """Return the waiting reply to a question."""
    conversation = conversation_of(
        owner, turns=turns, **{"sources": Conversation.Sources.ALL, **fields}
    )
    reply = waiting_reply(conversation)
    Message.objects.filter(pk=reply.parent_id).update(content=content)
    return reply


def test_a_strong_model_gets_numbered_passages_and_the_history(
    fake_provider: FakeProvider, owner: User
) -> None:
    routes(fake_provider)
    document = served(owner, "Annual leave is 28 days.")
    reply = asked(owner, "How many days of annual leave are there?", turns=1)
    prepared = prepare(reply.pk)

    assert prepared is not None
    assert prepared.ask is not None
    assert [message.role for message in prepared.ask.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert "Annual leave is 28 days." in prepared.ask.messages[-1].content
    [place] = prepared.basis.places
    assert (place.number, place.document_id, place.page_number) == (1, str(document.pk), 1)
    assert prepared.ask.context.request_id == reply.request_id
    reply.refresh_from_db()
    assert reply.state == Message.State.RUNNING
    assert reply.lease_expires_at is not None
    assert reply.lease_expires_at > timezone.now()


def test_only_documents_the_asker_can_read_are_searched(
    fake_provider: FakeProvider, owner: User, outsider: User
) -> None:
    routes(fake_provider)
    served(outsider, "Annual leave is 28 days.")
    prepared = prepare(asked(owner, "How many days of annual leave?").pk)
    assert prepared is not None
    assert prepared.ask is None
    assert "no documents you could ask yet" in prepared.text


def test_chosen_documents_alone_are_searched(fake_provider: FakeProvider, owner: User) -> None:
    routes(fake_provider)
    served(owner, "Annual leave is 28 days.")
    other = served(owner, "Annual reports are due in May.")
    reply = asked(owner, "What about annual leave?", sources=Conversation.Sources.CHOSEN)
    reply.conversation.chosen_documents.add(other)
    prepared = prepare(reply.pk)
    assert prepared is not None
    assert {place.document_id for place in prepared.basis.places} == {str(other.pk)}


def test_a_weak_model_gets_sentences_above_the_threshold(
    fake_provider: FakeProvider, owner: User
) -> None:
    routes(fake_provider, **WEAK)
    served(owner, "Annual leave is 28 days.")
    # The fake provider's vectors are alike only for equal texts.
    reply = asked(owner, "Annual leave is 28 days.")
    prepared = prepare(reply.pk)
    assert prepared is not None
    assert prepared.ask is not None
    assert prepared.ask.messages[-1].content.startswith("Text: Annual leave is 28 days.\n")
    assert (prepared.ask.temperature, prepared.ask.max_output_tokens) == (0.0, 80)
    [place] = prepared.basis.places
    assert (place.start_offset, place.end_offset) == (0, 24)


def test_below_the_threshold_the_documents_do_not_say(
    fake_provider: FakeProvider, owner: User
) -> None:
    routes(fake_provider, **WEAK)
    served(owner, "Annual leave is 28 days.")
    tuning.change(values={"chat.answer_similarity_threshold": 1.0}, author_id=None)
    prepared = prepare(asked(owner, "Who feeds the annual cat?").pk)
    assert prepared is not None
    assert prepared.ask is None
    assert prepared.text.startswith("Your documents don't say.")
    assert not [request for request in fake_provider.requests if "chat" in request.path]


@pytest.mark.parametrize("question", ["Hello!", "Thanks a lot", "Who are you?"])
def test_small_talk_is_answered_in_kind(
    fake_provider: FakeProvider, owner: User, question: str
) -> None:
    routes(fake_provider, **WEAK)
    prepared = prepare(asked(owner, question).pk)
    assert prepared is not None
    assert prepared.ask is None
    assert "documents don't say" not in prepared.text
    assert not fake_provider.requests


def test_a_strong_model_talks_itself_without_a_search(
    fake_provider: FakeProvider, owner: User
) -> None:
    routes(fake_provider)
    prepared = prepare(asked(owner, "Hello!").pk)
    assert prepared is not None
    assert prepared.ask is not None
    assert not fake_provider.requests


def test_a_follow_up_is_searched_with_the_question_before_it(
    fake_provider: FakeProvider, owner: User
) -> None:
    routes(fake_provider)
    served(owner, "Annual leave is 28 days.")
    reply = asked(owner, "And in Bristol?", turns=1)
    assert reply.parent is not None
    previous = reply.parent.parent.parent  # type: ignore[union-attr]
    Message.objects.filter(pk=previous.pk).update(content="How many days of annual leave?")
    prepare(reply.pk)
    assert fake_provider.requests[0].body["input"] == [
        "How many days of annual leave?\nAnd in Bristol?"
    ]


def test_a_reply_is_claimed_once(fake_provider: FakeProvider, owner: User) -> None:
    routes(fake_provider)
    reply = asked(owner, "Hello!")
    assert prepare(reply.pk) is not None
    assert prepare(reply.pk) is None


def test_a_stopped_reply_is_not_begun(owner: User) -> None:
    reply = asked(owner, "Hello!")
    Message.objects.filter(pk=reply.pk).update(cancel_requested_at=timezone.now())
    assert prepare(reply.pk) is None


def test_without_a_model_it_fails(owner: User) -> None:
    with pytest.raises(NoModelError):
        prepare(asked(owner, "Hello!").pk)
