"""A reply is finished once, by its writer or by the sweeper, with a receipt its usage records confirm."""

import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import User
from apps.billing import services as billing
from apps.billing.models import Outcome as CallOutcome
from apps.billing.models import Purpose
from apps.billing.types import CallContext, Usage
from apps.chat.finish import finish, sweep
from apps.chat.live.events import PREPARED, STREAMED
from apps.chat.live.stream import stream_key
from apps.chat.models import Conversation, Message
from apps.chat.types import ANSWER_ATTEMPT, QUESTION_ATTEMPT, Basis, Outcome, Place
from apps.documents.models import Document
from tests.factories.billing import PriceFactory
from tests.factories.chat import conversation_of, waiting_reply
from tests.factories.documents import served

pytestmark = pytest.mark.django_db

SENTENCES = "SENTENCES"
PASSAGES = "PASSAGES"


@pytest.fixture
def reply(owner: User) -> Message:
    """A reply that is being written."""
    return waiting_reply(conversation_of(owner), state=Message.State.RUNNING)


def place(number: int, document: Document, text: str = "Annual leave is 28 days.") -> Place:
    """Return the start of a document."""
    version = str(document.active_version_id)
    return Place(number, str(document.pk), version, document.name, 1, 0, len(text), text)


def basis(grounding: str, *places: Place) -> Basis:
    """Return what a reply rests on."""
    return Basis("Default route", grounding, "Model", "Provider", places)


def call(
    reply: Message, *, attempt: int = ANSWER_ATTEMPT, purpose: Purpose = Purpose.ANSWER
) -> Any:
    """Make a settled provider call of the reply; return its settlement."""
    assert reply.request_id is not None
    department_id = reply.conversation.paying_department_id
    context = CallContext(
        reply.request_id, department_id, purpose, reply.conversation.user_id, attempt
    )
    reserved = billing.reserve(
        context=context,
        provider_code="provider",
        model_code="model",
        max_input_tokens=99,
        max_output_tokens=99,
    )
    return billing.settle(
        reservation_id=reserved.reservation_id,
        outcome=CallOutcome.COMPLETED,
        usage=Usage(input_tokens=40, cached_input_tokens=5, output_tokens=7),
        elapsed_ms=10,
    )


def stored(reply: Message) -> Message:
    """Return the reply as it is stored now."""
    return Message.objects.get(pk=reply.pk)


def test_the_receipt_is_its_usage_records(reply: Message) -> None:
    PriceFactory()
    question = call(reply, attempt=QUESTION_ATTEMPT, purpose=Purpose.QUERY_EMBEDDING)
    answer = call(reply)
    finish(reply.pk, basis(""), Outcome(Message.State.DONE, "Twenty."))

    receipt = stored(reply).receipt
    assert receipt is not None
    assert receipt["usage_record_id"] == str(answer.usage_record_id)
    assert receipt["amount_nanos"] == answer.amount_nanos
    assert receipt["retrieval_nanos"] == question.amount_nanos
    assert receipt["total_nanos"] == answer.amount_nanos + question.amount_nanos
    assert (receipt["input_tokens"], receipt["cached_input_tokens"], receipt["output_tokens"]) == (
        40,
        5,
        7,
    )
    assert receipt["reason"] == "Default route"


def test_a_reply_without_a_call_costs_nothing(reply: Message) -> None:
    finish(reply.pk, Basis("Small talk"), Outcome(Message.State.DONE, "Hello."))
    receipt = stored(reply).receipt
    assert receipt is not None
    assert (receipt["model_name"], receipt["usage_record_id"], receipt["total_nanos"]) == (
        "",
        "",
        0,
    )


def test_it_is_finished_once(reply: Message) -> None:
    assert finish(reply.pk, basis(""), Outcome(Message.State.DONE, "First."))
    assert not finish(reply.pk, basis(""), Outcome(Message.State.FAILED, "Second."))
    assert stored(reply).content == "First."


def test_only_places_the_model_named_are_cited(reply: Message, owner: User) -> None:
    places = [place(number, served(owner)) for number in (1, 2, 3)]
    finish(reply.pk, basis(PASSAGES, *places), Outcome(Message.State.DONE, "28 [3] days [9]."))
    assert stored(reply).content == "28 [3] days."
    assert [one.number for one in reply.citations.all()] == [3]


def test_a_weak_models_answer_gets_the_places_it_used(reply: Message, owner: User) -> None:
    used, unused = place(1, served(owner)), place(2, served(owner), "Meals cost 30 pounds.")
    finish(
        reply.pk,
        basis(SENTENCES, used, unused),
        Outcome(Message.State.DONE, "Annual leave is 28 days."),
    )
    assert stored(reply).content == "Annual leave is 28 days. [1]"
    [citation] = reply.citations.all()
    assert (citation.start_offset, citation.end_offset) == (0, 24)


def test_a_document_deleted_meanwhile_leaves_its_citation(reply: Message, owner: User) -> None:
    document = served(owner)
    gone = place(1, document)
    document.delete()
    finish(reply.pk, basis(PASSAGES, gone), Outcome(Message.State.DONE, "28 days [1]."))
    [citation] = reply.citations.all()
    assert (citation.document, citation.version, citation.document_name) == (
        None,
        None,
        "policy.pdf",
    )


def tell(reply: Message, *events: tuple[str, dict[str, Any]]) -> None:
    """Write what a process had told of the reply before it died."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    for name, data in events:
        client.xadd(stream_key(reply.pk), {"name": name, "data": json.dumps(data)})
    client.close()


def overdue(owner: User, **fields: Any) -> Message:
    """Return a reply whose lease is over."""
    fields = {
        "state": Message.State.RUNNING,
        "lease_expires_at": timezone.now() - timedelta(seconds=1),
        **fields,
    }
    return waiting_reply(conversation_of(owner), **fields)


def test_a_lost_reply_fails_with_what_was_streamed(owner: User) -> None:
    reply = overdue(owner)
    tell(
        reply,
        (PREPARED, basis("").to_json()),
        ("token", {"text": "Twen"}),
        ("token", {"text": "ty"}),
    )
    assert sweep() == 1
    lost = stored(reply)
    assert (lost.state, lost.content, lost.error_code) == (Message.State.FAILED, "Twenty", "lost")


def test_a_settled_reply_that_was_streamed_whole_is_finished(owner: User) -> None:
    reply = overdue(owner)
    used = place(1, served(owner))
    tell(
        reply,
        (PREPARED, basis(SENTENCES, used).to_json()),
        ("token", {"text": "Annual leave is 28 days."}),
        (STREAMED, {}),
    )
    settled = call(reply)
    sweep()
    done = stored(reply)
    assert (done.state, done.content) == (Message.State.DONE, "Annual leave is 28 days. [1]")
    assert done.receipt is not None
    assert done.receipt["amount_nanos"] == settled.amount_nanos
    assert done.receipt["model_name"] == "Model"


def test_a_reply_lost_after_a_stop_counts_as_stopped(owner: User) -> None:
    reply = overdue(owner, cancel_requested_at=timezone.now())
    sweep()
    assert stored(reply).state == Message.State.STOPPED


def test_a_reply_nobody_began_fails(owner: User) -> None:
    reply = overdue(owner, state=Message.State.PENDING)
    sweep()
    assert stored(reply).state == Message.State.FAILED


def test_the_sweeper_leaves_the_living_alone(owner: User) -> None:
    overdue(owner, lease_expires_at=timezone.now() + timedelta(seconds=30))
    assert sweep() == 0
    assert Conversation.objects.count() == 1


def test_a_basis_survives_its_way_through_json(owner: User) -> None:
    whole = basis(SENTENCES, place(1, served(owner)))
    assert Basis.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    assert Basis.from_json({}) == Basis(reason="")
