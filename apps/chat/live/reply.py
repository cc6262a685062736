"""What the task that writes a reply tells of it."""

import asyncio
from uuid import UUID

from apps.chat.live.events import STREAMED, Channel, Event
from apps.chat.live.relay import Relay

COALESCE_SECONDS = 0.04


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
