"""Replies and several processes: one joins or stops what another writes; one that ends or is killed loses no text."""

import asyncio
import time
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from apps.accounts.models import User
from apps.chat import finish
from apps.chat.live import outside
from apps.chat.models import Message
from tests.chat.serving import Browser, Server, serving, text_of
from tests.fake_provider import FakeProvider, Gate

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]


async def reply_in_database(reply_id: str) -> Message:
    """Return a reply as it is stored."""
    return await Message.objects.aget(pk=UUID(reply_id))


async def test_another_process_joins_through_valkey(
    server: Server, other_server: Server, provider: FakeProvider, owner: User
) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate, " days")
    async with (
        Browser(server, owner) as browser,
        Browser(other_server, owner) as elsewhere,
        browser.ask() as events,
    ):
        accepted = await events.until("accepted")
        await events.until("token")
        async with elsewhere.stream("GET", f"/chat/messages/{accepted['reply']}/stream/") as joined:
            assert (await joined.until("token"))["text"] == "Twenty"
            gate.open()
            rest = [event async for event in joined]

    assert text_of(rest) == " days"
    assert "Twenty days" in rest[-1][1]["html"]


async def test_stop_reaches_a_reply_of_another_process(
    server: Server, other_server: Server, provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", Gate(), " days")
    async with (
        Browser(server, owner) as browser,
        Browser(other_server, owner) as elsewhere,
        browser.ask() as events,
    ):
        accepted = await events.until("accepted")
        await events.until("token")
        asked = time.monotonic()
        await elsewhere.http.post(f"/chat/messages/{accepted['reply']}/stop/")
        await asyncio.to_thread(provider.client_left.wait)
        assert time.monotonic() - asked < 1
        assert (await events.until("done"))["state"] == "STOPPED"


async def test_a_killed_process_leaves_a_failed_reply_with_what_was_streamed(
    provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", Gate(), " days")
    with serving() as doomed:
        async with Browser(doomed, owner) as browser, browser.ask() as events:
            accepted = await events.until("accepted")
            await events.until("token")
            with pytest.raises(Exception, match=r".*"):  # noqa: PT012 - the kill and the broken stream are one event
                await _token_in_valkey(accepted["reply"])
                await asyncio.to_thread(doomed.kill)
                await events.until("done")
        await _end_lease(accepted["reply"])
        await sync_to_async(finish.sweep)()

    reply = await reply_in_database(accepted["reply"])
    assert (reply.state, reply.content, reply.error_code) == (
        Message.State.FAILED,
        "Twenty",
        "lost",
    )


async def _token_in_valkey(reply_id: str) -> None:
    while not outside.recover(UUID(reply_id)).text:
        await asyncio.sleep(0)


async def _end_lease(reply_id: str) -> None:
    await Message.objects.filter(pk=UUID(reply_id)).aupdate(lease_expires_at=timezone.now())


async def test_a_stopping_server_saves_what_was_streamed(
    provider: FakeProvider, owner: User
) -> None:
    provider.will_answer("Twenty", Gate(), " days")
    with serving() as ending:
        async with Browser(ending, owner) as browser:
            async with browser.ask() as events:
                accepted = await events.until("accepted")
                await events.until("token")
            await asyncio.to_thread(ending.stop)

    reply = await reply_in_database(accepted["reply"])
    assert (reply.state, reply.content, reply.error_code) == (
        Message.State.FAILED,
        "Twenty",
        "interrupted",
    )
