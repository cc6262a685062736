"""The one door: every call is reserved and settled to the token, whatever becomes of it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.db import connections, transaction

from apps.billing.models import Meter, Outcome, Purpose, Reservation, UsageRecord
from apps.billing.types import CallContext
from apps.llm import metering, services, tokens
from apps.llm.attempts import SECOND_TRY
from apps.llm.errors import (
    CallRepeatedError,
    ContextTooLongError,
    OverloadedError,
    PermanentError,
    RetryableError,
)
from apps.llm.models import Route
from apps.llm.types import ChatMessage, Choice, Finished, Token
from tests.factories.billing import PriceFactory, call_context
from tests.factories.llm import route_to
from tests.fake_provider import BREAK, HANG, FakeProvider, Gate, vector_of

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = [ChatMessage("system", "Be brief."), ChatMessage("user", "How many days of leave?")]


@pytest.fixture
def choice(fake_provider: FakeProvider) -> Choice:
    return route_to(fake_provider)


@pytest.fixture
def call() -> CallContext:
    return call_context()


def ask(choice: Choice, context: CallContext) -> AsyncIterator[Token | Finished]:
    return services.stream(choice=choice, messages=MESSAGES, context=context)


async def heard(stream: AsyncIterator[Token | Finished], into: list[str]) -> Finished:
    """Listen to the end, noting the tokens."""
    async for event in stream:
        if isinstance(event, Finished):
            return event
        into.append(event.text)
    raise AssertionError("the stream had no Finished")


async def the_record() -> UsageRecord:
    await metering.drain()
    return await UsageRecord.objects.aget()


class TestStream:
    async def test_tokens_come_as_sent_and_usage_is_the_provider_s(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_answer("Twenty", " days", ".", cached_tokens=3)
        texts: list[str] = []
        finished = await heard(ask(choice, call), texts)
        assert texts == ["Twenty", " days", "."]
        assert finished.finish_reason == "stop"
        usage, counted = finished.settled.usage, fake_provider.counted
        assert usage.input_tokens + usage.cached_input_tokens == counted.input_tokens
        assert usage.cached_input_tokens == counted.cached_tokens == 3
        assert usage.output_tokens == counted.output_tokens == 3
        record = await the_record()
        assert record.outcome == Outcome.COMPLETED
        assert not record.is_estimated

    async def test_tokens_come_before_the_answer_is_whole(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        gate = Gate()
        fake_provider.will_answer("Twenty", gate, " days")
        async with aclosing(ask(choice, call)) as stream:
            assert await anext(stream) == Token("Twenty")
            gate.open()
            await heard(stream, [])

    async def test_the_request_carries_key_cap_and_the_call_s_name(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        call = replace(call, attempt=2)
        async for _event in services.stream(
            choice=choice, messages=MESSAGES, context=call, max_output_tokens=9, temperature=0
        ):
            pass
        [request] = fake_provider.requests
        assert request.headers["x-request-id"] == f"{call.request_id}/2"
        assert request.headers["authorization"] == "Bearer sk-secret-of-the-tests"
        assert (request.body["max_tokens"], request.body["temperature"]) == (9, 0)

    async def test_a_provider_without_usage_is_charged_what_was_counted(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_answer("Twenty", " days", has_usage=False)
        await heard(ask(choice, call), [])
        record = await the_record()
        assert record.is_estimated
        assert record.input_tokens == tokens.count_prompt_tokens(MESSAGES)
        assert record.output_tokens == tokens.count_tokens("Twenty days")

    async def test_an_answer_cut_at_the_cap_says_so(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_answer("Twenty", finish_reason="length")
        assert (await heard(ask(choice, call), [])).finish_reason == "length"

    async def test_the_same_call_twice_is_made_and_charged_once(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        await heard(ask(choice, call), [])
        with pytest.raises(CallRepeatedError):
            await heard(ask(choice, call), [])
        await heard(ask(choice, replace(call, attempt=2)), [])
        assert len(fake_provider.requests) == await UsageRecord.objects.acount() == 2

    async def test_no_database_connection_is_held_while_it_streams(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        gate = Gate()
        fake_provider.will_answer("Twenty", gate)
        async with aclosing(ask(choice, call)) as stream:
            await anext(stream)
            held = await asyncio.gather(
                *(
                    metering.in_thread(_has_open_connection)
                    for _ in range(metering.DATABASE_THREADS)
                )
            )
            assert not any(held)
            gate.open()
            await heard(stream, [])


def _has_open_connection() -> bool:
    return connections["default"].connection is not None


class TestStopping:
    async def test_cancelling_closes_the_provider_s_side_and_charges_what_came(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        gate = Gate()
        fake_provider.will_answer("Twenty", " days", gate)
        has_both = asyncio.Event()

        async def listen() -> None:
            async for event in ask(choice, call):
                if event == Token(" days"):
                    has_both.set()

        listening = asyncio.create_task(listen())
        await has_both.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert await asyncio.to_thread(fake_provider.client_left.wait, 1.0)
        record = await the_record()
        assert record.outcome == Outcome.CANCELLED
        assert record.is_estimated
        assert record.input_tokens == tokens.count_prompt_tokens(MESSAGES)
        assert record.output_tokens == tokens.count_tokens("Twenty days")

    async def test_closing_the_iterator_does_the_same(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_answer("Twenty", Gate())
        async with aclosing(ask(choice, call)) as stream:
            await anext(stream)
        assert await asyncio.to_thread(fake_provider.client_left.wait, 1.0)
        assert (await the_record()).outcome == Outcome.CANCELLED

    async def test_cancelled_before_the_first_token_the_prompt_is_charged(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        gate = Gate()
        fake_provider.will_answer(gate, "Twenty")
        listening = asyncio.create_task(heard(ask(choice, call), []))
        await gate.reached()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        record = await the_record()
        assert (record.outcome, record.output_tokens) == (Outcome.CANCELLED, 0)

    async def test_cancelled_while_reserving_nothing_is_charged_or_left_open(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        is_locked, is_cancelled = threading.Event(), threading.Event()

        def hold_reservations() -> None:
            with transaction.atomic(), connections["default"].cursor() as cursor:
                cursor.execute("LOCK TABLE billing_reservation IN EXCLUSIVE MODE")
                is_locked.set()
                is_cancelled.wait()

        holding = asyncio.create_task(metering.in_thread(hold_reservations))
        await asyncio.to_thread(is_locked.wait)
        listening = asyncio.create_task(heard(ask(choice, call), []))
        await asyncio.sleep(0)  # its first step: as far as the reservation
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        is_cancelled.set()
        await holding
        await metering.drain()
        assert not fake_provider.requests
        assert (await Reservation.objects.aget()).state == Reservation.State.VOID
        assert not await UsageRecord.objects.aexists()


class TestFailing:
    @pytest.mark.parametrize(
        ("status", "error", "kind"),
        [
            (400, {"code": "context_length_exceeded"}, ContextTooLongError),
            (400, {"type": "exceed_context_size_error"}, ContextTooLongError),
            (400, {"message": "This model's maximum context length is 8"}, ContextTooLongError),
            (400, {"message": "bad"}, PermanentError),
            (401, {}, PermanentError),
            (404, {}, PermanentError),
            (429, {"code": "insufficient_quota"}, PermanentError),
            (429, {}, OverloadedError),
            (503, {}, OverloadedError),
            (529, {}, OverloadedError),
            (408, {}, RetryableError),
            (500, {}, RetryableError),
            (302, {}, PermanentError),
        ],
    )
    async def test_each_refusal_has_its_kind_and_is_made_once_and_costs_nothing(
        self,
        fake_provider: FakeProvider,
        choice: Choice,
        call: CallContext,
        status: int,
        error: dict[str, Any],
        kind: type[Exception],
    ) -> None:
        fake_provider.will_fail(status, headers={"location": "http://127.0.0.1:9/"}, **error)
        with pytest.raises(kind) as raised:
            await heard(ask(choice, call), [])
        assert type(raised.value) is kind
        assert len(fake_provider.requests) == 1
        record = await the_record()
        assert (record.outcome, record.input_tokens, record.output_tokens) == (Outcome.FAILED, 0, 0)

    async def test_an_overloaded_provider_s_wait_is_passed_on(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_fail(429, headers={"retry-after": "7"})
        with pytest.raises(OverloadedError) as raised:
            await heard(ask(choice, call), [])
        assert raised.value.retry_after_seconds == 7

    @pytest.mark.parametrize("ending", [BREAK, ""])
    async def test_a_stream_that_breaks_off_is_retryable_and_charged_as_counted(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext, ending: str
    ) -> None:
        fake_provider.will_answer("Twenty", ending, finish_reason=None, has_usage=False)
        texts: list[str] = []
        with pytest.raises(RetryableError):
            await heard(ask(choice, call), texts)
        assert texts[0] == "Twenty"
        record = await the_record()
        assert record.outcome == Outcome.FAILED
        assert record.output_tokens == tokens.count_tokens("Twenty")

    async def test_a_silent_provider_times_out(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_answer(HANG)
        with pytest.raises(RetryableError) as raised:
            await heard(ask(replace(choice, read_timeout_seconds=0.2), call), [])
        assert raised.value.is_used
        assert (await the_record()).input_tokens == tokens.count_prompt_tokens(MESSAGES)

    async def test_an_unreachable_provider_is_retryable_and_costs_nothing(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        with pytest.raises(RetryableError):
            await heard(ask(replace(choice, base_url="http://127.0.0.1:9/v1"), call), [])
        await metering.drain()
        calls = Reservation.objects.order_by("attempt").values_list("attempt", "state")
        assert [made async for made in calls] == [(1, "VOID"), (1 + SECOND_TRY, "VOID")]
        assert not await UsageRecord.objects.aexists()

    async def test_an_error_inside_the_listener_is_settled_as_failed(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        fake_provider.will_answer("Twenty", Gate())
        stream = ask(choice, call)
        await anext(stream)
        with pytest.raises(ZeroDivisionError):
            await stream.athrow(ZeroDivisionError())
        assert (await the_record()).outcome == Outcome.FAILED


class TestComplete:
    async def test_a_whole_answer(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        answer = await services.acomplete(choice=choice, messages=MESSAGES, context=call)
        assert (answer.text, answer.finish_reason) == ("Twenty days.", "stop")
        assert answer.settled.usage.output_tokens == fake_provider.counted.output_tokens
        assert not fake_provider.requests[0].body.get("stream")

    def test_from_sync_code(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        answer = services.complete(choice=choice, messages=MESSAGES, context=call)
        assert answer.text == "Twenty days."
        fake_provider.will_fail(500)
        with pytest.raises(RetryableError):
            services.complete(choice=choice, messages=MESSAGES, context=call_context())
        assert set(UsageRecord.objects.values_list("outcome", flat=True)) == {"COMPLETED", "FAILED"}

    async def test_cancelling_leaves_the_provider(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        gate = Gate()
        fake_provider.will_answer(gate)
        asking = asyncio.create_task(
            services.acomplete(choice=choice, messages=MESSAGES, context=call)
        )
        await gate.reached()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await asyncio.to_thread(fake_provider.client_left.wait, 1.0)
        assert (await the_record()).outcome == Outcome.CANCELLED


class TestEmbed:
    @pytest.fixture
    def choice(self, fake_provider: FakeProvider) -> Choice:
        return route_to(fake_provider, Route.Use.EMBEDDING)

    @pytest.fixture
    def call(self) -> CallContext:
        return call_context(purpose=Purpose.DOCUMENT_EMBEDDING)

    @pytest.mark.parametrize("is_reversed", [False, True])
    def test_unit_vectors_in_the_texts_order(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext, is_reversed: bool
    ) -> None:
        fake_provider.reverses_embeddings = is_reversed
        texts = [f"text {number}" for number in range(5)]
        vectors = services.embed(texts=texts, context=call).vectors
        expected = np.stack([vector_of(text) / np.linalg.norm(vector_of(text)) for text in texts])
        np.testing.assert_allclose(vectors, expected, rtol=1e-5)
        assert vectors.dtype == np.float32

    def test_each_batch_is_a_call_of_its_own_settled_to_the_token(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        PriceFactory(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=Meter.EMBEDDING,
            nanos_per_million_tokens=1_000_000,
        )
        texts = [f"text {number}" for number in range(services.EMBEDDING_BATCH_SIZE + 1)]
        embeddings = services.embed(texts=texts, context=call)
        assert len(embeddings.vectors) == len(texts)
        assert [settled.attempt for settled in embeddings.settled] == [1, 2]
        used = sum(settled.usage.embedding_tokens for settled in embeddings.settled)
        assert used == fake_provider.counted.input_tokens
        assert sum(settled.amount_nanos for settled in embeddings.settled) == used

    def test_no_texts_make_no_call(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        assert services.embed(texts=[], context=call).vectors.shape == (0, 8)
        assert not fake_provider.requests

    def test_vectors_of_another_length_are_refused_and_paid(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        with pytest.raises(PermanentError):
            services.embed(texts=["a"], context=call, choice=replace(choice, dimensions=9))
        assert UsageRecord.objects.get().embedding_tokens == 1

    async def test_from_async_code(
        self, fake_provider: FakeProvider, choice: Choice, call: CallContext
    ) -> None:
        embeddings = await services.aembed(texts=["a"], context=call)
        assert embeddings.vectors.shape == (1, 8)
