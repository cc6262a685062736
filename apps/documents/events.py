"""Live progress as server-sent events; no database connection is held between two looks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection
from typing import Any, Final
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from apps.accounts.models import User
from apps.documents.progress import Progress, read_progress

LOOK_SECONDS: Final = 1.0
KEEP_ALIVE_SECONDS: Final = 15.0


def event(name: str, data: dict[str, Any]) -> str:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def progress_events(user: User, ids: Collection[UUID]) -> AsyncIterator[str]:
    """Yield each document's progress at once and whenever it changed, until all have ended, then `end`.

    Documents the person may not read, or no longer, are silently left out.
    """
    open_ids = set(ids)
    shown: dict[str, Progress] = {}
    said_at = time.monotonic()
    while open_ids:
        found = await sync_to_async(_look)(user, open_ids)
        for progress in found:
            if shown.get(progress.id) != progress:
                shown[progress.id] = progress
                said_at = time.monotonic()
                yield event("status", progress.as_dict())
        open_ids = {UUID(progress.id) for progress in found if not progress.is_finished}
        if open_ids:
            if time.monotonic() - said_at > KEEP_ALIVE_SECONDS:
                said_at = time.monotonic()
                yield ": keep-alive\n\n"
            await asyncio.sleep(LOOK_SECONDS)
    yield event("end", {})


def _look(user: User, ids: Collection[UUID]) -> list[Progress]:
    try:
        return read_progress(user, ids)
    finally:
        # Back to the pool: between two looks the stream holds nothing.
        close_old_connections()
