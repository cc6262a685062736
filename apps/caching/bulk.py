"""Bulk reads: one round trip to Valkey for many keys, one to fill what was computed."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from apps.caching import entries, keyspaces, remote
from apps.caching.drivers import note, recall
from apps.caching.keyspaces import Key, Keyspace
from apps.caching.outcomes import Level
from apps.caching.policies import Policy
from apps.caching.reading import Found, Read

V = TypeVar("V")


def read_many(
    keyspace: Keyspace[V],
    policy: Policy,
    keys: Sequence[Key],
    compute_many: Callable[[Sequence[Key]], Mapping[Key, V]],
    started: float,
) -> dict[Key, V]:
    """Return the values of the keys from memory, from Valkey, and the rest from one `compute_many`.

    `started` is the read's beginning by `time.perf_counter`.
    """
    values: dict[Key, V] = {}
    reads: list[Read] = []
    for key in dict.fromkeys(keys):
        entry = recall(keyspace, policy, key, started)
        if entry is not None:
            values[key] = entry[0]
        else:
            reads.append(Read(keyspace, policy, key, keyspaces.digest(keyspace, key)))
    if reads:
        values.update(_beyond_memory(keyspace, reads, compute_many, started))
    return values


def _beyond_memory(
    keyspace: Keyspace[V],
    reads: Sequence[Read],
    compute_many: Callable[[Sequence[Key]], Mapping[Key, V]],
    started: float,
) -> dict[Key, V]:
    values: dict[Key, V] = {}
    missing: list[tuple[Read, bytes | None]] = []
    for read, answer in zip(reads, _answers(keyspace, reads), strict=True):
        if isinstance(answer, bytes):
            stored = entries.parse(keyspace, answer)
            read.remember(stored.value, stored.cost_us, stored.cost_nanos)
            values[read.key] = stored.value
            found = Found(stored.value, Level.L2, stored.cost_us, stored.cost_nanos)
            note(keyspace, read.digest, found, started, is_leader=True)
        else:
            missing.append((read, answer[0] if answer else None))
    if missing:
        values.update(_compute_many(keyspace, missing, compute_many, started))
    return values


def _answers(keyspace: Keyspace[Any], reads: Sequence[Read]) -> Sequence[Any]:
    if not keyspace.has_l2:
        return [None] * len(reads)
    try:
        return remote.many(remote.READ, [(read.keys, read.read_arguments()) for read in reads])
    except remote.Unavailable:
        return [None] * len(reads)


def _compute_many(
    keyspace: Keyspace[V],
    missing: Sequence[tuple[Read, bytes | None]],
    compute_many: Callable[[Sequence[Key]], Mapping[Key, V]],
    started: float,
) -> dict[Key, V]:
    begun = time.perf_counter()
    try:
        computed = compute_many([read.key for read, _generation in missing])
    except BaseException:
        for read, _generation in missing:
            read.give_up()
        raise
    cost_us = int((time.perf_counter() - begun) * 1_000_000 / len(missing))
    fills = []
    for read, generation in missing:
        if read.key not in computed:
            read.give_up()
            continue
        value = computed[read.key]
        packed = entries.pack(keyspace, read.policy, value, cost_us) if generation else None
        if packed is not None:
            arguments = (generation, packed.raw, packed.lifetime_ms, read.token)
            fills.append((read, (read.keys, arguments)))
        elif keyspace.has_l2:
            read.give_up()
        else:
            read.remember(value, cost_us, 0)
        level = Level.MISS if generation or not keyspace.has_l2 else Level.BYPASS
        note(keyspace, read.digest, Found(value, level, cost_us), started, is_leader=True)
    _fill_many(keyspace, fills, computed, cost_us)
    return {read.key: computed[read.key] for read, _generation in missing if read.key in computed}


def _fill_many(
    keyspace: Keyspace[Any],
    fills: Sequence[tuple[Read, tuple[tuple[str, str, str], tuple[object, ...]]]],
    computed: Mapping[Key, Any],
    cost_us: int,
) -> None:
    try:
        filled = remote.many(remote.FILL, [call for _read, call in fills]) if fills else []
    except remote.Unavailable:
        filled = [0] * len(fills)
    for (read, _call), is_filled in zip(fills, filled, strict=True):
        if is_filled:
            read.remember(computed[read.key], cost_us, 0)
        else:
            read.give_up()
