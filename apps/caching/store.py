"""The door to every cached value: process memory (L1), then Valkey (L2), else computed, once in the whole fleet.

Freshness is decided by generations in Valkey (`scripts`), moved by `invalidate` and again by the relay. Valkey away means
slower, never wrong: values are computed, and nothing waits for it twice. Inside a transaction nothing is cached: what it
reads may be its own, uncommitted.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.db import transaction

from apps.caching import bulk, entries, keyspaces, listener, local, outbox, policies, remote
from apps.caching.drivers import adrive, drive, note, note_past, recall
from apps.caching.flights import flights
from apps.caching.keyspaces import Key, Keyspace
from apps.caching.models import InvalidationOutbox
from apps.caching.outcomes import Level
from apps.caching.policies import Policy
from apps.caching.reading import Found, Read

logger = logging.getLogger(__name__)

V = TypeVar("V")
T = TypeVar("T")


class Missing:
    """What `peek` returns for a key that is not cached."""


MISSING: Final = Missing()


def get_or_compute(keyspace: Keyspace[V], key: Key, compute: Callable[[], V]) -> V:
    """Return the value of a key, from memory, from Valkey, or by `compute`, whose exceptions pass through.

    `compute` may run in another thread, and once for several callers. A None is a value, kept for a shorter time.
    """
    started = time.perf_counter()
    policy = policies.of(keyspace)
    # Before memory too: inside a transaction it could give what the transaction has already changed.
    if not policy.is_enabled or transaction.get_connection().in_atomic_block:
        return _past(keyspace, compute, started)
    entry = recall(keyspace, policy, key, started)
    if entry is not None:
        value: V = entry[0]
        return value
    return _beyond_memory(keyspace, policy, key, compute, started)


def _past(keyspace: Keyspace[Any], compute: Callable[[], T], started: float) -> T:
    value = compute()
    note_past(keyspace, started)
    return value


def _beyond_memory(
    keyspace: Keyspace[V], policy: Policy, key: Key, compute: Callable[[], V], started: float
) -> V:
    listener.ensure()
    digest = keyspaces.digest(keyspace, key)

    def work() -> Found:
        read = Read(keyspace, policy, key, digest)
        return drive(read, read.steps(), compute)

    # Without news of changes a flight may have begun before one: then everybody reads for themselves.
    if local.is_open:
        found, is_leader = flights.fly((keyspace.name, digest), work)
    else:
        found, is_leader = work(), True
    note(keyspace, digest, found, started, is_leader=is_leader)
    value: V = found.value
    return value


async def aget_or_compute(
    keyspace: Keyspace[V], key: Key, compute: Callable[[], Awaitable[V]]
) -> V:
    """Return the value of a key as `get_or_compute` does, from async code."""
    started = time.perf_counter()
    if not policies.is_fresh(keyspace):
        await sync_to_async(policies.refresh)()
    # As known now: it may have changed again, and looking once more would be a query, here in the event loop.
    policy = policies.known(keyspace)
    if not policy.is_enabled:
        value = await compute()
        note_past(keyspace, started)
        return value
    entry = recall(keyspace, policy, key, started)
    if entry is not None:
        kept: V = entry[0]
        return kept
    listener.ensure()
    digest = keyspaces.digest(keyspace, key)

    async def work() -> Found:
        read = Read(keyspace, policy, key, digest)
        return await adrive(read, read.steps(), compute)

    if local.is_open:
        found, is_leader = await flights.afly((keyspace.name, digest), work)
    else:
        found, is_leader = await work(), True
    note(keyspace, digest, found, started, is_leader=is_leader)
    result: V = found.value
    return result


def get_many(
    keyspace: Keyspace[V],
    keys: Sequence[Key],
    compute_many: Callable[[Sequence[Key]], Mapping[Key, V]],
) -> dict[Key, V]:
    """Return the values of several keys; those not cached come from one `compute_many`, absent ones are left out.

    One round trip to Valkey for all keys, and one to fill what was computed. Nobody waits for another process here.
    """
    started = time.perf_counter()
    policy = policies.of(keyspace)
    if not policy.is_enabled or transaction.get_connection().in_atomic_block:
        return _past(keyspace, lambda: dict(compute_many(keys)), started) if keys else {}
    listener.ensure()
    return bulk.read_many(keyspace, policy, keys, compute_many, started)


def peek(keyspace: Keyspace[V], key: Key) -> V | Missing:
    """Return the value of a key from Valkey, MISSING where there is none: for values that `put` brings, not a compute."""
    started = time.perf_counter()
    policy = policies.of(keyspace)
    if not policy.is_enabled:
        return MISSING
    digest = keyspaces.digest(keyspace, key)
    try:
        raw = remote.PEEK(remote.keys_of(keyspace.name, policy.epoch, digest))
    except remote.Unavailable:
        note(keyspace, digest, Found(None, Level.BYPASS), started, is_leader=True)
        return MISSING
    if not raw:
        note(keyspace, digest, Found(None, Level.MISS), started, is_leader=True)
        return MISSING
    stored = entries.parse(keyspace, raw)
    found = Found(stored.value, Level.L2, stored.cost_us, stored.cost_nanos)
    note(keyspace, digest, found, started, is_leader=True)
    value: V = stored.value
    return value


def put(keyspace: Keyspace[V], key: Key, value: V, *, cost_us: int = 0) -> None:
    """Keep a value in Valkey for `peek`, after the present transaction's commit; what it took goes with it.

    There is no lease: put only values whose key names all they depend on. Without Valkey nothing is kept.
    """
    transaction.on_commit(partial(_put_now, keyspace, key, value, cost_us), robust=True)


def _put_now(keyspace: Keyspace[V], key: Key, value: V, cost_us: int) -> None:
    policy = policies.of(keyspace)
    packed = entries.pack(keyspace, policy, value, cost_us) if policy.is_enabled else None
    if packed is None:
        return
    keys = remote.keys_of(keyspace.name, policy.epoch, keyspaces.digest(keyspace, key))
    generation_ms = entries.generation_ms(keyspace, policy)
    try:
        remote.PUT(keys, packed.raw, packed.lifetime_ms, generation_ms)
    except remote.Unavailable:
        logger.info("value not kept", extra={"keyspace": keyspace.name})


def invalidate(keyspace: Keyspace[Any], key: Key, *, is_durable: bool = False) -> None:
    """Have a key computed anew after the present transaction's commit; at once where there is none.

    Triggers on the source tables repeat it through the outbox. `is_durable` writes that row itself, for keys that no
    trigger knows of.
    """
    if is_durable:
        InvalidationOutbox.objects.create(keyspace=keyspace.name, key=[str(part) for part in key])
    transaction.on_commit(partial(_invalidate_now, keyspace, key), robust=True)


def _invalidate_now(keyspace: Keyspace[Any], key: Key) -> None:
    keys, arguments = outbox.invalidation(keyspace, key)
    try:
        remote.INVALIDATE(keys, *arguments)
    except remote.Unavailable:
        # The relay will, from the outbox; until then nobody here reads from Valkey.
        logger.info("invalidation left to the relay", extra={"keyspace": keyspace.name})
    # Again: a read of this process that began in between may hold the old value, and nobody may join it now.
    local.drop(keyspace.name, keyspaces.digest(keyspace, key))


def forget() -> None:
    """Drop what this process holds: all of L1, the policies read, and recent failures."""
    local.clear()
    policies.forget()
