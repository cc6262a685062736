"""Sessions: rows in PostgreSQL, read through Valkey, so that most requests need no query for theirs."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from apps.accounts.cache import SESSION
from apps.caching import store


class SessionStore(DatabaseStore):
    """Django's database sessions with the reading behind the cache; an ended one is out at once."""

    def load(self) -> dict[str, Any]:
        return self._decoded(
            store.get_or_compute(SESSION, self._key(), partial(_stored, *self._key()))
        )

    async def aload(self) -> dict[str, Any]:
        async def compute() -> tuple[str, float] | None:
            return await sync_to_async(_stored)(*self._key())

        return self._decoded(await store.aget_or_compute(SESSION, self._key(), compute))

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        super().save(must_create)
        store.invalidate(SESSION, self._key())

    async def asave(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's signature
        await super().asave(must_create)
        await sync_to_async(store.invalidate)(SESSION, self._key())

    def delete(self, session_key: str | None = None) -> None:
        ended = session_key or self.session_key
        super().delete(session_key)
        if ended:
            store.invalidate(SESSION, (ended,))

    async def adelete(self, session_key: str | None = None) -> None:
        ended = session_key or self.session_key
        await super().adelete(session_key)
        if ended:
            await sync_to_async(store.invalidate)(SESSION, (ended,))

    def _key(self) -> tuple[str]:
        return (self.session_key or "",)

    def _decoded(self, stored: tuple[str, float] | None) -> dict[str, Any]:
        if stored is None or stored[1] <= time.time():
            # As Django does for an unknown session: the next save makes a new one.
            self._session_key = None
            return {}
        data: Mapping[str, Any] = self.decode(stored[0])
        return dict(data)


def _stored(session_key: str) -> tuple[str, float] | None:
    found = (
        Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now())
        .values_list("session_data", "expire_date")
        .first()
    )
    return (found[0], found[1].timestamp()) if found else None
