"""The whole way of a reply over real HTTP: a server process with a pool of five, and a provider that can be told."""

import asyncio
import time
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.models import Outcome, UsageRecord
from apps.chat.models import Conversation, Message
from apps.chat.steps import PREPARE_THREADS
from apps.core.ids import uuid7
from apps.llm.models import Route
from tests.chat.serving import POOL_SIZE, Browser, Server, text_of
from tests.factories.llm import route_to
from tests.fake_provider import BREAK, FakeProvider, Gate

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]


async def reply_in_database(reply_id: str) -> Message:
    """Return a reply as it is stored."""
    return await Message.objects.aget(pk=UUID(reply_id))


async def test_a_question_is_answered_in_a_stream(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", " days", ".")
    async with Browser(server, owner) as browser:
        events = await browser.answer("How many days of leave?")

    names = [name for name, _data in events]
    assert names[0] == "accepted"
    assert names[-1] == "done", events
    assert text_of(events) == "Twenty days."
    accepted, done = events[0][1], events[-1][1]
    assert accepted["title"] == "How many days of leave?"
    assert "How many days of leave?" in accepted["question_html"]
    assert "Twenty days." in done["html"]
    reply = await reply_in_database(accepted["reply"])
    assert (reply.state, reply.content) == (Message.State.DONE, "Twenty days.")


async def test_the_receipt_equals_the_usage_record(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", " days", cached_tokens=3)
    async with Browser(server, owner) as browser:
        events = await browser.answer()

    reply = await reply_in_database(events[0][1]["reply"])
    record = await UsageRecord.objects.aget(request_id=reply.request_id)
    receipt = reply.receipt
    assert receipt is not None
    assert UUID(receipt["usage_record_id"]) == record.pk
    for field in ("input_tokens", "cached_input_tokens", "output_tokens", "amount_nanos"):
        assert receipt[field] == getattr(record, field)
    assert receipt["total_nanos"] == record.amount_nanos
    assert receipt["output_tokens"] == provider.counted.output_tokens
    assert receipt["first_token_ms"] <= receipt["total_ms"]


async def test_the_stream_is_neither_cached_nor_buffered(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    async with Browser(server, owner) as browser, browser.ask() as events:
        assert events.response.headers["content-type"].startswith("text/event-stream")
        assert events.response.headers["cache-control"] == "no-store"
        assert events.response.headers["x-accel-buffering"] == "no"
        await events.until("done")


async def test_a_double_click_posts_once(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate, " days")
    key = str(uuid7())
    async with Browser(server, owner) as browser:
        clicks = [asyncio.create_task(browser.answer(idempotency_key=key)) for _click in range(2)]
        await gate.reached()
        gate.open()
        first, second = await asyncio.gather(*clicks)

    assert first[0][1]["reply"] == second[0][1]["reply"]
    assert text_of(first) == text_of(second) == "Twenty days"
    assert await Conversation.objects.acount() == 1
    assert await Message.objects.acount() == 2
    assert len(provider.requests) == 1


async def test_closing_the_tab_does_not_lose_the_answer(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate, " days")
    async with Browser(server, owner) as browser:
        async with browser.ask() as events:
            accepted = await events.until("accepted")
            await events.until("token")
        gate.open()
        async with browser.stream("GET", f"/chat/messages/{accepted['reply']}/stream/") as joined:
            await joined.until("done")

    reply = await reply_in_database(accepted["reply"])
    assert (reply.state, reply.content) == (Message.State.DONE, "Twenty days")
    assert not provider.client_left.is_set()


async def test_a_reload_joins_in_mid_stream_from_the_first_token(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate, " days")
    async with Browser(server, owner) as browser, browser.ask() as events:
        accepted = await events.until("accepted")
        await events.until("token")
        async with browser.stream("GET", f"/chat/messages/{accepted['reply']}/stream/") as joined:
            assert (await joined.until("token"))["text"] == "Twenty"
            gate.open()
            rest = [event async for event in joined]

    assert text_of(rest) == " days"
    assert rest[-1][0] == "done"


async def test_stop_ends_the_provider_call_within_a_second(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", Gate(), " days")
    async with Browser(server, owner) as browser, browser.ask() as events:
        accepted = await events.until("accepted")
        await events.until("token")
        asked = time.monotonic()
        response = await browser.http.post(f"/chat/messages/{accepted['reply']}/stop/")
        await asyncio.to_thread(provider.client_left.wait)
        assert time.monotonic() - asked < 1
        assert response.status_code == 204
        assert (await events.until("done"))["state"] == "STOPPED"

    reply = await reply_in_database(accepted["reply"])
    assert (reply.state, reply.content) == (Message.State.STOPPED, "Twenty")
    assert reply.receipt is not None
    record = await UsageRecord.objects.aget(request_id=reply.request_id)
    assert record.outcome == Outcome.CANCELLED
    assert reply.receipt["amount_nanos"] == record.amount_nanos


async def test_a_hanging_embedding_model_holds_up_no_other_reply(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    await sync_to_async(route_to)(provider, Route.Use.EMBEDDING)
    provider.will_answer("Twenty", Gate(), " days")
    gate = provider.embeddings_gate = Gate()
    async with Browser(server, owner) as browser, browser.ask() as events:
        accepted = await events.until("accepted")
        await events.until("token")
        asking = [
            # Each another one: the same would be embedded once, for all who wait.
            asyncio.create_task(browser.answer(f"How long is leave of kind {n}?", sources="ALL"))
            for n in range(PREPARE_THREADS)
        ]
        while len(provider.requests) < 1 + PREPARE_THREADS:
            await asyncio.sleep(0)
        await _end_lease(accepted["reply"])
        while await Message.objects.filter(lease_expires_at__lte=timezone.now()).aexists():
            await asyncio.sleep(0)
        await browser.http.post(f"/chat/messages/{accepted['reply']}/stop/")
        assert (await events.until("done"))["state"] == "STOPPED"
        gate.open()
        await asyncio.gather(*asking)


async def test_deleting_a_conversation_stops_its_reply(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", Gate(), " days")
    async with Browser(server, owner) as browser, browser.ask() as events:
        accepted = await events.until("accepted")
        await events.until("token")
        await browser.http.post(f"/chat/{accepted['conversation']}/delete/")
        await asyncio.to_thread(provider.client_left.wait)
        assert (await events.until("failed"))["code"] == "not_found"


@pytest.mark.parametrize(
    ("failing", "code"),
    [((429,), "provider_busy"), ((500,), "provider_unreachable"), ((401,), "provider_refused")],
)
async def test_a_failed_call_leaves_a_failed_reply_to_try_again(
    server: Server, provider: FakeProvider, owner: User, failing: tuple[int], code: str
) -> None:
    provider.will_fail(*failing)
    async with Browser(server, owner) as browser:
        events = await browser.answer()
        assert events[-1][0] == "failed"
        assert events[-1][1]["code"] == code
        reply_id = events[0][1]["reply"]
        again = f"/chat/messages/{reply_id}/regenerate/"
        async with browser.stream("POST", again, data={"idempotency_key": str(uuid7())}) as retried:
            accepted = await retried.until("accepted")
            await retried.until("done")

    assert (await reply_in_database(reply_id)).state == Message.State.FAILED
    assert (await reply_in_database(accepted["reply"])).state == Message.State.DONE
    assert accepted["question_html"] is None


async def test_a_broken_stream_keeps_what_arrived(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twen", BREAK)
    async with Browser(server, owner) as browser:
        events = await browser.answer()

    reply = await reply_in_database(events[0][1]["reply"])
    assert (reply.state, reply.content, reply.error_code) == (
        Message.State.FAILED,
        "Twen",
        "provider_unreachable",
    )


async def _end_lease(reply_id: str) -> None:
    await Message.objects.filter(pk=UUID(reply_id)).aupdate(lease_expires_at=timezone.now())


async def test_forty_streams_live_on_a_pool_of_five(
    server: Server, provider: FakeProvider, owner: User
) -> None:
    gates = [Gate() for _stream in range(40)]
    for number, gate in enumerate(gates):
        if number % 4 == 1:
            provider.will_answer("Twenty", gate, BREAK)
        else:
            provider.will_answer("Twenty", gate, " days")
    async with Browser(server, owner) as browser:
        asking = [asyncio.create_task(_ask_or_leave(browser, leaves=n % 4 == 2)) for n in range(40)]
        for gate in gates:
            await gate.reached()
        # All forty stand open now: the pool still serves pages.
        pages = await asyncio.gather(*(browser.http.get("/chat/") for _page in range(POOL_SIZE)))
        assert [page.status_code for page in pages] == [200] * POOL_SIZE
        for gate in gates:
            gate.open()
        ends = await asyncio.gather(*asking)
        assert (await browser.http.get("/chat/")).status_code == 200
        # Those who left did not end their replies.
        while await Message.objects.filter(state__in=Message.UNFINISHED).aexists():
            await asyncio.sleep(0)

    assert {end for end in ends if end} == {"done", "failed"}
    states = [
        state
        async for state in Message.objects.filter(role="ASSISTANT").values_list("state", flat=True)
    ]
    assert sorted(states) == ["DONE"] * 30 + ["FAILED"] * 10
    assert await UsageRecord.objects.acount() == 40


async def _ask_or_leave(browser: Browser, *, leaves: bool) -> str | None:
    async with browser.ask() as events:
        await events.until("token")
        if leaves:
            return None
        return [name async for name, _data in events][-1]


async def test_an_outsider_finds_nothing(
    server: Server, provider: FakeProvider, owner: User, outsider: User
) -> None:
    async with Browser(server, owner) as browser:
        accepted = (await browser.answer())[0][1]
    key = {"idempotency_key": str(uuid7())}
    async with Browser(server, outsider) as stranger:
        message = f"/chat/messages/{accepted['reply']}"
        answers = [
            await stranger.http.get(f"{message}/stream/"),
            await stranger.http.post(f"{message}/stop/"),
            await stranger.http.post(f"{message}/regenerate/", data=key),
            await stranger.http.post(
                "/chat/reply/",
                data={"content": "Hi", "conversation": accepted["conversation"], **key},
            ),
        ]
    assert [answer.status_code for answer in answers] == [404] * 4
