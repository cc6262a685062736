"""A call the provider did not take is made once more, and each try is billed as it was."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from apps.billing.models import Outcome, Reservation, UsageRecord
from apps.billing.types import CallContext
from apps.llm import attempts, background, metering, services
from apps.llm.errors import RetryableError
from apps.llm.models import Route
from apps.llm.types import ChatMessage, Choice, Finished, Token
from tests.factories.billing import call_context
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = [ChatMessage("user", "How many days of leave?")]


class ClosingProvider:
    """Takes `patience` requests a connection and answers each; the next one meets the connection's end."""

    def __init__(self, *, patience: int = 1) -> None:
        self.patience = patience
        self.connection_count = 0
        self.asked: list[str] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve, and tell where."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            await services.close()
            await asyncio.to_thread(background.run, services.close())

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        try:
            for _request in range(self.patience):
                if not await self._answered(reader, writer):
                    return
            await reader.read(1)
        finally:
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines: list[bytes] = []
        while (line := await reader.readline()) not in {b"\r\n", b""}:
            lines.append(line)
        if not lines:
            return False
        headers = dict(line.decode().strip().lower().split(": ", 1) for line in lines[1:])
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.asked.append(headers["x-request-id"])
        kind, answer = _answer(body)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(answer)}\r\n\r\n"
        writer.write(head.encode() + answer)
        await writer.drain()
        return True


def _answer(body: dict[str, Any]) -> tuple[str, bytes]:
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    base = {"id": "1", "created": 1, "model": "m"}
    if "input" in body:
        data = [{"object": "embedding", "index": 0, "embedding": [1.0] * 8}]
        return "application/json", json.dumps({"data": data, "usage": usage, **base}).encode()
    choice = {"index": 0, "finish_reason": "stop"}
    if body.get("stream"):
        chunk = {**base, "choices": [{**choice, "delta": {"content": "Twenty"}}], "usage": usage}
        return "text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    choice["message"] = {"role": "assistant", "content": "Twenty"}  # type: ignore[assignment]
    return "application/json", json.dumps({**base, "choices": [choice], "usage": usage}).encode()


async def streamed(choice: Choice, context: CallContext) -> str:
    stream = services.stream(choice=choice, messages=MESSAGES, context=context)
    events = [event async for event in stream]
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, Token))


async def whole(choice: Choice, context: CallContext) -> str:
    return (await services.acomplete(choice=choice, messages=MESSAGES, context=context)).text


async def whole_from_sync_code(choice: Choice, context: CallContext) -> str:
    def ask() -> str:
        return services.complete(choice=choice, messages=MESSAGES, context=context).text

    return await asyncio.to_thread(ask)


async def calls_of(context: CallContext) -> list[tuple[int, str, int]]:
    await metering.drain()
    records = UsageRecord.objects.filter(request_id=context.request_id).order_by("attempt")
    return [(one.attempt, one.outcome, one.input_tokens) async for one in records]


@pytest.mark.parametrize("ask", [streamed, whole, whole_from_sync_code])
async def test_a_connection_closed_in_the_moment_of_a_question_fails_nobody(
    fake_provider: FakeProvider, ask: Any
) -> None:
    closing = ClosingProvider()
    first, second = [await sync_to_async(call_context)() for _ in range(2)]
    choice = await sync_to_async(route_to)(fake_provider)
    async with closing.serving() as base_url:
        choice = replace(choice, base_url=base_url)
        assert await ask(choice, first) == "Twenty"
        assert await ask(choice, second) == "Twenty"
    again = second.attempt + attempts.SECOND_TRY
    assert closing.connection_count == 2
    assert closing.asked == [f"{first.request_id}/1", f"{second.request_id}/{again}"]
    assert await calls_of(second) == [(1, Outcome.FAILED, 0), (again, Outcome.COMPLETED, 7)]
    assert not await Reservation.objects.filter(state=Reservation.State.OPEN).aexists()


async def test_texts_to_embed_are_sent_again_too(fake_provider: FakeProvider) -> None:
    closing = ClosingProvider()
    choice = await sync_to_async(route_to)(fake_provider, Route.Use.EMBEDDING)
    contexts = [await sync_to_async(call_context)() for _ in range(2)]
    async with closing.serving() as base_url:
        for context in contexts:
            embeddings = await services.aembed(
                texts=["a"], context=context, choice=replace(choice, base_url=base_url)
            )
            assert embeddings.vectors.shape == (1, 8)
    assert [made[:2] for made in await calls_of(contexts[1])] == [
        (1, Outcome.FAILED),
        (1 + attempts.SECOND_TRY, Outcome.COMPLETED),
    ]


async def test_a_new_connection_that_ends_without_an_answer_is_not_tried_again(
    fake_provider: FakeProvider,
) -> None:
    # The provider may have worked before it fell: its prompt is charged, and nobody pays it twice.
    closing = ClosingProvider(patience=0)
    context = await sync_to_async(call_context)()
    choice = await sync_to_async(route_to)(fake_provider)
    async with closing.serving() as base_url:
        with pytest.raises(RetryableError):
            await streamed(replace(choice, base_url=base_url), context)
    [(attempt, outcome, input_tokens)] = await calls_of(context)
    assert (attempt, outcome, closing.connection_count) == (1, Outcome.FAILED, 1)
    assert input_tokens > 0


def test_a_number_belongs_to_one_call() -> None:
    context = CallContext(**dict.fromkeys(("request_id", "department_id", "purpose")))  # type: ignore[arg-type]
    first, second = attempts.tries(replace(context, attempt=200))
    assert (first.attempt, second.attempt) == (200, 200 + attempts.SECOND_TRY)
    for number in (0, attempts.SECOND_TRY, second.attempt):
        with pytest.raises(ValueError, match="attempt"):
            attempts.tries(replace(context, attempt=number))
