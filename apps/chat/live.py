"""The events of replies being written: from the task that writes to all who watch, in this process and in others.

In the writing process a `Channel` in memory feeds the viewers, so the page that asked needs no Valkey. For everybody
else the events go, coalesced, to a Valkey stream of the reply; one reading connection a process follows all the
streams its viewers watch, and the stream of signals that carries stops. All keys share a hash slot, so that one XREAD
can name them on a cluster too. Nothing here touches the database.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from redis import Redis
from redis import asyncio as aioredis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

COALESCE_SECONDS = 0.04
STREAM_SECONDS = 600
STREAM_ENTRIES = 20_000
SIGNALS_KEY = "{chat-reply}:signals"
SIGNAL_ENTRIES = 1000
BLOCK_MS = 5000
RETRY_SECONDS = 1.0
CANCEL_SECONDS = 0.1

# Events whose names begin with an underscore stay among processes; pages never see them.
PREPARED = "_prepared"
STREAMED = "_streamed"
ENDED = "_ended"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a reply; the names without underscore are those of the page's event stream."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)


class Channel:
    """The events of one reply so far, for any number of followers of one event loop."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_closed = False
        self._changed = asyncio.Event()

    def emit(self, event: Event) -> None:
        """Add an event and wake the followers; the ENDED event closes the channel."""
        self.events.append(event)
        if event.name == ENDED:
            self.is_closed = True
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self) -> AsyncIterator[Event]:
        """Yield all events from the first one on, until the channel is closed."""
        position = 0
        while True:
            while position < len(self.events):
                yield self.events[position]
                position += 1
            if self.is_closed:
                return
            await self._changed.wait()


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
                entry: dict[Any, Any] = {"name": event.name, "data": json.dumps(event.data)}
                pipe.xadd(stream_key(reply_id), entry, maxlen=STREAM_ENTRIES, approximate=True)
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
            channel.emit(_event(fields))


class LiveReply:
    """What the writing task tells of its reply: events go to the channel here and to the stream, tokens coalesced."""

    def __init__(self, reply_id: UUID, relay: Relay) -> None:
        self.reply_id = reply_id
        self.channel = Channel()
        self._relay = relay
        self._parts: list[str] = []
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def text(self) -> str:
        """Return all text so far."""
        return "".join(self._parts)

    def emit(self, event: Event) -> None:
        """Tell an event, after whatever text waits."""
        self._flush()
        self._send(event)

    def token(self, text: str) -> None:
        """Tell a piece of text: the first at once, the following at most every COALESCE_SECONDS."""
        self._parts.append(text)
        self._waiting.append(text)
        if self._timer is None:
            self._tick()

    async def streamed(self) -> None:
        """Mark the text as complete and wait until the stream has it: the sweeper may finish such a reply."""
        self.emit(Event(STREAMED))
        await self._relay.written()

    def _tick(self) -> None:
        self._timer = None
        if self._waiting:
            self._flush()
            self._timer = asyncio.get_running_loop().call_later(COALESCE_SECONDS, self._tick)

    def _flush(self) -> None:
        if self._waiting:
            text = "".join(self._waiting)
            self._waiting.clear()
            self._send(Event("token", {"text": text}))

    def _send(self, event: Event) -> None:
        self.channel.emit(event)
        self._relay.publish(self.reply_id, event)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What is left of a reply whose process died: its text, whether that is all of it, and what was prepared."""

    text: str
    is_complete: bool
    prepared: dict[str, Any]


def stream_key(reply_id: UUID) -> str:
    """Return the key of a reply's stream."""
    return f"{{chat-reply}}:{reply_id}"


def _event(fields: dict[bytes, bytes]) -> Event:
    return Event(fields[b"name"].decode(), json.loads(fields[b"data"]))


@cache
def _client() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=1.0)


def signal_stop(reply_id: UUID) -> None:
    """Wake the process that writes the reply; if Valkey is away, it finds the request in the database itself."""
    try:
        _client().xadd(
            SIGNALS_KEY, {"stop": str(reply_id)}, maxlen=SIGNAL_ENTRIES, approximate=True
        )
    except (RedisError, OSError) as error:
        logger.warning("stop not signalled", extra={"error": repr(error)})


def tell_ended(reply_id: UUID) -> None:
    """Tell the viewers of a reply that another process has finished it."""
    try:
        _client().xadd(stream_key(reply_id), {"name": ENDED, "data": "{}"})
        _client().expire(stream_key(reply_id), STREAM_SECONDS)
    except (RedisError, OSError) as error:
        logger.warning("end not told", extra={"error": repr(error)})


def recover(reply_id: UUID) -> Recovered:
    """Read what the stream still holds of a reply."""
    try:
        entries: Any = _client().xrange(stream_key(reply_id))
    except (RedisError, OSError) as error:
        logger.warning("reply not recoverable", extra={"error": repr(error)})
        entries = []
    events = [_event(fields) for _entry_id, fields in entries]
    return Recovered(
        text="".join(event.data["text"] for event in events if event.name == "token"),
        is_complete=any(event.name == STREAMED for event in events),
        # The last: another model may have answered than the one it was prepared for.
        prepared=next((event.data for event in reversed(events) if event.name == PREPARED), {}),
    )
