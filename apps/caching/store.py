"""The store behind every cached value: Valkey/Redis (L2), else computed; works without Redis, only slower."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache


@dataclass(frozen=True, slots=True)
class Keyspace:
    """A family of cached values, declared once in the `cache.py` of the app that owns the data.

    `name` is `<app>:<noun>:<version>`; values are what JSON holds.
    """

    name: str
    ttl_seconds: int
    help_text: str


def cache_key(keyspace: Keyspace, key: tuple[object, ...]) -> str:
    """Return the one spelling of a key: hashed, since its parts may be long or private."""
    parts = "\x1f".join(str(part) for part in key)
    return f"{keyspace.name}:{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


def get_or_compute(keyspace: Keyspace, key: tuple[object, ...], compute: Callable[[], Any]) -> Any:
    """Return the cached value of a key, or compute and keep it. A stored None is a value, not a miss.

    With Redis away the value is computed.
    """
    name = cache_key(keyspace, key)
    boxed = cache.get(name)
    if isinstance(boxed, list) and len(boxed) == 1:
        return boxed[0]
    value = compute()
    cache.set(name, [value], keyspace.ttl_seconds)
    return value


def invalidate(keyspace: Keyspace, key: tuple[object, ...]) -> None:
    """Drop one key; call it in `transaction.on_commit`."""
    cache.delete(cache_key(keyspace, key))
