"""A time without Valkey, for tests of what goes on without it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apps.caching import listener, remote
from apps.caching.breaker import breaker


@contextmanager
def unreachable(settings: Any) -> Iterator[None]:
    """Have the process's cache at an address where nobody answers."""
    before = settings.CACHE_URL
    # Taken, and not listened on: no other server of the run comes to answer there.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        _use(f"redis://127.0.0.1:{taken.getsockname()[1]}/0", settings)
        try:
            yield
        finally:
            _use(before, settings)
            breaker.renew()


def _use(url: str, settings: Any) -> None:
    if listener.listener.is_started:
        listener.listener.stop()
    remote.drop_connections()
    settings.CACHE_URL = url
    remote.client.cache_clear()
