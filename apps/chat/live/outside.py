"""What processes that do not write a reply do with its stream: ask for its stop, tell its end, read what is left."""

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.chat.live.events import ENDED, PREPARED, STREAMED, Event
from apps.chat.live.stream import (
    SIGNAL_ENTRIES,
    SIGNALS_KEY,
    STREAM_SECONDS,
    entry_of,
    event_of,
    stream_key,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What is left of a reply whose process died: its text, whether that is all of it, and what was prepared."""

    text: str
    is_complete: bool
    prepared: dict[str, Any]


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
        _client().xadd(stream_key(reply_id), entry_of(Event(ENDED)))
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
    events = [event_of(fields) for _entry_id, fields in entries]
    return Recovered(
        text="".join(event.data["text"] for event in events if event.name == "token"),
        is_complete=any(event.name == STREAMED for event in events),
        # The last: another model may have answered than the one it was prepared for.
        prepared=next((event.data for event in reversed(events) if event.name == PREPARED), {}),
    )
