"""A time without Valkey, for tests of what goes on without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apps.caching import listener, remote
from apps.caching.breaker import breaker
from tests.conftest import free_port


@contextmanager
def unreachable(settings: Any) -> Iterator[None]:
    """Have the process's cache at an address where nobody answers."""
    before = settings.CACHE_URL
    _use(f"redis://127.0.0.1:{free_port()}/0", settings)
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
