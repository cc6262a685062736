"""The desk at which replies are written, without a server."""

import asyncio

from apps.chat.live.reply import LiveReply
from apps.chat.replies import Desk, Running
from apps.chat.types import Basis
from apps.core.ids import uuid7


async def test_a_stop_told_twice_lets_the_call_be_settled() -> None:
    desk = Desk()
    stopped, may_settle, settled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> str | None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            await may_settle.wait()
            settled.set()
            raise
        return None

    reply_id = uuid7()
    running = Running(reply_id, uuid7(), LiveReply(reply_id, desk.relay), 0.0, Basis(reason=""))
    desk._running[reply_id] = running
    running.work = asyncio.create_task(work())
    await asyncio.sleep(0)
    desk.cancel(reply_id)
    await stopped.wait()
    # The signal through Valkey and the watcher come on top of the view's own call.
    desk.cancel(reply_id)
    may_settle.set()
    await asyncio.wait({running.work})
    await desk.aclose()
    assert settled.is_set()
