"""What the caches hold now: entries and bytes in Valkey by a bounded scan, entries of the processes by their reports."""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Sum
from django.utils import timezone
from redis.exceptions import RedisError

from apps.caching import keyspaces, policies, remote
from apps.caching.access_models import ProcessReport
from apps.caching.breaker import breaker
from apps.caching.keyspaces import Keyspace
from apps.caching.local import L1Figures

# Figures of Valkey are this old at most; who asks meanwhile gets the same.
MAX_AGE_SECONDS = 5.0
SCAN_COUNT = 1000
SCAN_ROUNDS = 100
SCAN_SECONDS = 0.3
MEASURED_KEYS = 50
# A process reports every five seconds.
REPORT_FRESH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class L2Figures:
    """What Valkey holds of a keyspace; bytes with Valkey's own overhead, `is_estimate` where a part stands for all."""

    entries: int = 0
    bytes: int = 0
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class ValkeyFigures:
    """What Valkey holds in all, and by keyspace; `limit_bytes` 0: it has none."""

    used_bytes: int
    limit_bytes: int
    evictions: int
    by_keyspace: Mapping[str, L2Figures]


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """The running processes' memory by keyspace, and what each let go for want of room since it began.

    `dropped_count` reads are missing from the figures, from the log, or from both.
    """

    process_count: int
    dropped_count: int
    by_keyspace: Mapping[str, L1Figures]


_lock = threading.Lock()
_found: ValkeyFigures | None = None
_found_at = float("-inf")


def valkey() -> ValkeyFigures | None:
    """Return what Valkey holds, a few seconds old at most; None when it does not answer."""
    global _found, _found_at  # noqa: PLW0603 - one reading a process is the point
    with _lock:
        if time.monotonic() - _found_at >= MAX_AGE_SECONDS:
            _found = _ask_valkey()
            _found_at = time.monotonic()
        return _found


def holds(keyspace: Keyspace[Any], parts: Sequence[str]) -> bool | None:
    """Say whether Valkey holds a key's value now; None when it does not answer.

    Raises:
        KeyspaceError: the keyspace's keys have another number of parts.
    """
    digest = keyspaces.digest(keyspace, tuple(parts))
    value, _generation, _lease = remote.keys_of(keyspace.name, policies.of(keyspace).epoch, digest)
    try:
        return None if breaker.is_open else bool(_client().exists(value))
    except (RedisError, OSError):
        return None


def forget() -> None:
    """Have the next reading ask Valkey; whoever has just purged calls this."""
    global _found_at  # noqa: PLW0603 - one reading a process is the point
    _found_at = float("-inf")


def processes() -> ProcessFigures:
    """Return the sums over the processes that have reported lately, one query."""
    fresh = ProcessReport.objects.filter(
        reported_at__gt=timezone.now() - timedelta(seconds=REPORT_FRESH_SECONDS)
    )
    sums = fresh.values("keyspace").annotate(
        entries_sum=Sum("entries"),
        evictions_sum=Sum("evictions"),
        dropped_sum=Sum("dropped_count"),
        reports=Count("process"),
    )
    by_keyspace, process_count, dropped_count = {}, 0, 0
    for one in sums:
        if one["keyspace"]:
            by_keyspace[one["keyspace"]] = L1Figures(one["entries_sum"], one["evictions_sum"])
        else:
            process_count, dropped_count = one["reports"], one["dropped_sum"]
    return ProcessFigures(process_count, dropped_count, by_keyspace)


def _ask_valkey() -> ValkeyFigures | None:
    # Nothing here trips the breaker: a scan that takes long says nothing about single reads.
    if breaker.is_open:
        return None
    try:
        info = _client().info()
        by_name, share = _scan()
        by_keyspace = {name: _measure(keys, share) for name, keys in by_name.items()}
    except (RedisError, OSError):
        return None
    return ValkeyFigures(
        used_bytes=int(info["used_memory"]),
        limit_bytes=int(info["maxmemory"]),
        evictions=int(info["evicted_keys"]),
        by_keyspace=by_keyspace,
    )


def _scan() -> tuple[dict[str, list[bytes]], float]:
    """Return the keys of present values by keyspace, and the share of all keys that was looked at."""
    slots = {
        f"{one.name}:{policies.of(one).epoch}".encode(): one.name for one in keyspaces.everything()
    }
    found: defaultdict[str, set[bytes]] = defaultdict(set)
    ends_at = time.monotonic() + SCAN_SECONDS
    cursor, looked_at = 0, 0
    for _round in range(SCAN_ROUNDS):
        cursor, keys = _client().scan(cursor, match="v:*", count=SCAN_COUNT)
        looked_at += SCAN_COUNT
        for key in keys:
            # v:{name:epoch:digest}; entries of an earlier epoch are nobody's any more.
            name = slots.get(key[3:-1].rpartition(b":")[0])
            if name is not None:
                found[name].add(key)
        if cursor == 0 or time.monotonic() > ends_at:
            break
    share = 1.0 if cursor == 0 else min(1.0, looked_at / max(1, _client().dbsize()))
    return {name: sorted(keys) for name, keys in found.items()}, share


def _measure(keys: list[bytes], share: float) -> L2Figures:
    """Return entries and bytes of a keyspace from the keys that were found, some of them measured."""
    measured = random.sample(keys, min(len(keys), MEASURED_KEYS))
    with _client().pipeline(transaction=False) as pipe:
        for key in measured:
            pipe.memory_usage(key)
        # A key may have expired since the scan.
        sizes = [size for size in pipe.execute() if size is not None]
    entries = round(len(keys) / share)
    mean_bytes = sum(sizes) / len(sizes) if sizes else 0.0
    is_estimate = share < 1 or len(keys) > len(measured)
    return L2Figures(entries=entries, bytes=round(mean_bytes * entries), is_estimate=is_estimate)


def _client() -> Any:
    # redis types what a sync client returns as if it might be awaited.
    return remote.client()
