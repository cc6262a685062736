"""The events of one reply, and the channel in memory that its followers in this process listen to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

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
