"""Keyspaces: families of cached values, each declared once by the app that owns the data, and the spelling of keys."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.conf import settings

V = TypeVar("V")

Key = tuple[str | int | UUID, ...]


class Sharing(StrEnum):
    """Who may be given an entry that somebody else's request has filled."""

    EVERYONE = "EVERYONE"
    AUDIENCES = "AUDIENCES"
    DEPARTMENT = "DEPARTMENT"
    USER = "USER"
    OPERATORS = "OPERATORS"


class KeyspaceError(Exception):
    """A keyspace is declared twice, unknown, or was given a key of another shape."""


def _same(value: Any) -> Any:
    return value


def _free(_value: Any) -> int:
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class Keyspace(Generic[V]):
    """A family of cached values, declared once in the `cache.py` of the app that owns the data.

    `name` is `<app>:<noun>:<version>`: a change of what a value holds takes a new version. Each part of a key is a
    str, int or UUID, always of the same type. Values are frozen: readers of L1 share them. `fresh_by` says in a
    sentence how a change of the data reaches the cache. `dump` and `load` turn a value into what JSON holds (dataclasses,
    UUIDs and datetimes included) and back;
    `cost_nanos` says what computing it has cost in money. All times are seconds.

    `negative_ttl_seconds` bounds how long a None is kept. `stale_if_error_seconds` is how long after its end a value
    may still be served when computing fails; never for access, sessions, keys, answers and retrieval.
    """

    name: str
    key_fields: tuple[str, ...]
    help_text: str
    fresh_by: str
    shared_by: Sharing
    ttl_seconds: float
    has_l2: bool = True
    l1_ttl_seconds: float = 0
    l1_share_ratio: float = 0
    jitter_ratio: float = 0.1
    max_value_bytes: int = 256 * 1024
    beta: float = 1.0
    negative_ttl_seconds: float = 30
    stale_if_error_seconds: float = 0
    lease_seconds: float = 5
    dump: Callable[[V], Any] = _same
    load: Callable[[Any], V] = _same
    cost_nanos: Callable[[V], int] = _free


_keyspaces: dict[str, Keyspace[Any]] = {}


def register(keyspace: Keyspace[V]) -> Keyspace[V]:
    """Make a keyspace known and return it; called at import of an app's `cache.py`, which `ready()` imports.

    Raises:
        KeyspaceError: the name is taken by another declaration, or it has no level at all.
    """
    if _keyspaces.setdefault(keyspace.name, keyspace) is not keyspace:
        raise KeyspaceError(f"{keyspace.name} is declared twice")
    return keyspace


def get(name: str) -> Keyspace[Any]:
    """Return the declaration of a keyspace.

    Raises:
        KeyspaceError: nothing of that name is declared.
    """
    try:
        return _keyspaces[name]
    except KeyError:
        known = ", ".join(sorted(_keyspaces))
        raise KeyspaceError(f"{name} is not a keyspace; there are: {known}") from None


def everything() -> list[Keyspace[Any]]:
    """Return all declarations by name."""
    return sorted(_keyspaces.values(), key=lambda keyspace: keyspace.name)


@cache
def _secret() -> bytes:
    return hashlib.blake2b(settings.SECRET_KEY.encode(), person=b"parley-cache").digest()


def digest(keyspace: Keyspace[Any], key: Key) -> str:
    """Return the one spelling of a key, 32 hex characters: keyed, since its parts may be private and guessable.

    Raises:
        KeyspaceError: the key has another number of parts than the keyspace declares.
    """
    if len(key) != len(keyspace.key_fields):
        raise KeyspaceError(f"{keyspace.name} takes {', '.join(keyspace.key_fields)}, not {key!r}")
    return digest_of(key)


def digest_of(key: Key) -> str:
    """Return what `digest` does, of a key of any shape: releases that run side by side may not know each other's."""
    # Lengths before the parts: no two keys run together.
    text = "".join([f"{len(part)}:{part}" for part in map(str, key)])
    return hashlib.blake2b(text.encode(), digest_size=16, key=_secret()).hexdigest()
