"""One event loop's two connections to the Valkey streams: what it writes of its replies, what its viewers read."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from apps.chat.live.events import Channel, Event
from apps.chat.live.stream import (
    SIGNAL_ENTRIES,
    SIGNALS_KEY,
    STREAM_ENTRIES,
    STREAM_SECONDS,
    entry_of,
    event_of,
    stream_key,
)

logger = logging.getLogger(__name__)

BLOCK_MS = 5000
RETRY_SECONDS = 1.0
CANCEL_SECONDS = 0.1


class Relay:
    """One event loop's connections to the Valkey streams: a writer, and a reader for viewers and signals."""

    def __init__(self, on_stop: Callable[[UUID], None]) -> None:
        self._on_stop = on_stop
        self._queue: asyncio.Queue[tuple[UUID, Event] | asyncio.Future[None]] = asyncio.Queue()
        self._watched: dict[UUID, tuple[Channel, int]] = {}
        self._positions: dict[UUID, str] = {}
        self._signal_position = ""
        self._write_client = aioredis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=1.0
        )
        self._read_client = aioredis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=BLOCK_MS / 1000 + 2
        )
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    async def aclose(self) -> None:
        """Write what is queued, then end both tasks and their connections."""
        await self.written()
        ending = set(self._tasks)
        while ending:
            for task in ending:
                task.cancel()
            # Until it is heard: one that comes in the first moments of a connection can get lost in redis-py.
            _ended, ending = await asyncio.wait(ending, timeout=CANCEL_SECONDS)
        await self._write_client.aclose()
        await self._read_client.aclose()

    def publish(self, reply_id: UUID, event: Event) -> None:
        """Queue an event for the reply's stream; while Valkey is away events are dropped, and that is logged."""
        self._queue.put_nowait((reply_id, event))

    async def written(self) -> None:
        """Wait until all events queued so far were written or given up."""
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(mark)
        await mark

    async def _write(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write_batch([item for item in batch if isinstance(item, tuple)])
            except (RedisError, OSError) as error:
                logger.warning(
                    "live events dropped", extra={"error": repr(error), "event_count": len(batch)}
                )
            for item in batch:
                if isinstance(item, asyncio.Future) and not item.done():
                    item.set_result(None)

    async def _write_batch(self, events: list[tuple[UUID, Event]]) -> None:
        if not events:
            return
        async with self._write_client.pipeline(transaction=False) as pipe:
            for reply_id, event in events:
                key, entry = stream_key(reply_id), entry_of(event)
                pipe.xadd(key, entry, maxlen=STREAM_ENTRIES, approximate=True)
            for reply_id in {reply_id for reply_id, _event in events}:
                pipe.expire(stream_key(reply_id), STREAM_SECONDS)
            await pipe.execute()

    def watch(self, reply_id: UUID) -> Channel:
        """Return a channel fed from the reply's stream, from its first event on; `unwatch` it once."""
        channel, count = self._watched.get(reply_id, (Channel(), 0))
        self._watched[reply_id] = (channel, count + 1)
        if count == 0:
            self._positions[reply_id] = "0-0"
            task = asyncio.create_task(self._wake())
            self._tasks.append(task)
            task.add_done_callback(self._tasks.remove)
        return channel

    def unwatch(self, reply_id: UUID) -> None:
        """Let go of a channel; the last viewer's leaving ends the reading of its stream."""
        channel, count = self._watched[reply_id]
        if count > 1:
            self._watched[reply_id] = (channel, count - 1)
        else:
            del self._watched[reply_id], self._positions[reply_id]

    async def _wake(self) -> None:
        """Have the reader return from its blocking read, so that it names the new stream in the next one."""
        # While Valkey is away the viewer falls back on asking the database.
        with suppress(RedisError, OSError):
            await self._write_client.xadd(
                SIGNALS_KEY, {"wake": ""}, maxlen=SIGNAL_ENTRIES, approximate=True
            )

    async def _read(self) -> None:
        while True:
            try:
                await self._read_once()
            except (RedisError, OSError) as error:
                logger.warning("live events not readable", extra={"error": repr(error)})
                await asyncio.sleep(RETRY_SECONDS)

    async def _read_once(self) -> None:
        if not self._signal_position:
            newest = await self._read_client.xrevrange(SIGNALS_KEY, count=1)
            self._signal_position = newest[0][0].decode() if newest else "0-0"
        positions = {
            stream_key(reply_id): position for reply_id, position in self._positions.items()
        }
        streams: dict[Any, Any] = {SIGNALS_KEY: self._signal_position, **positions}
        answer = await self._read_client.xread(streams, block=BLOCK_MS)
        for key, entries in dict(answer or []).items():
            if key.decode() == SIGNALS_KEY:
                self._signal_position = entries[-1][0].decode()
                self._take_signals([fields for _entry_id, fields in entries])
            else:
                self._take_events(UUID(key.decode().rpartition(":")[2]), entries)

    def _take_signals(self, entries: list[dict[bytes, bytes]]) -> None:
        for fields in entries:
            if b"stop" in fields:
                self._on_stop(UUID(fields[b"stop"].decode()))

    def _take_events(self, reply_id: UUID, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        if reply_id not in self._watched:
            return
        channel, _count = self._watched[reply_id]
        self._positions[reply_id] = entries[-1][0].decode()
        for _entry_id, fields in entries:
            channel.emit(event_of(fields))
