"""The Valkey streams: their keys, how long they live, and how an event stands in them.

All keys share a hash slot, so that one XREAD can name them on a cluster too.
"""

import json
from typing import Any
from uuid import UUID

from apps.chat.live.events import Event

STREAM_SECONDS = 600
STREAM_ENTRIES = 20_000
SIGNALS_KEY = "{chat-reply}:signals"
SIGNAL_ENTRIES = 1000


def stream_key(reply_id: UUID) -> str:
    """Return the key of a reply's stream."""
    return f"{{chat-reply}}:{reply_id}"


def entry_of(event: Event) -> dict[Any, Any]:
    """Return an event as the fields of a stream's entry."""
    return {"name": event.name, "data": json.dumps(event.data)}


def event_of(fields: dict[bytes, bytes]) -> Event:
    """Return the event of a stream's entry."""
    return Event(fields[b"name"].decode(), json.loads(fields[b"data"]))
