"""The exact figures of keyspaces as plain data, for machines and for the command that prints them."""

from datetime import datetime
from typing import Any

from apps.caching import contents, figures, keyspaces, policies
from apps.caching.contents import L2Figures
from apps.caching.figures import WINDOWS, Reads
from apps.caching.keyspaces import Keyspace
from apps.caching.local import L1Figures
from apps.caching.outcomes import Level


def report(*, now: datetime, only: str | None = None) -> dict[str, Any]:
    """Return the figures of all keyspaces, or of one with its latencies by level, as JSON holds them.

    Times are microseconds, money nanos, shares 0 to 1; null: there is nothing to tell, or Valkey does not answer.

    Raises:
        KeyspaceError: there is no such keyspace.
    """
    chosen = [keyspaces.get(only)] if only else keyspaces.everything()
    overview, valkey, processes = (
        figures.overview(now=now),
        contents.valkey(),
        contents.processes(),
    )
    found: dict[str, Any] = {
        "valkey": None
        if valkey is None
        else {
            "used_bytes": valkey.used_bytes,
            "limit_bytes": valkey.limit_bytes,
            "evictions": valkey.evictions,
        },
        "processes": processes.process_count,
        "reads_not_written": processes.dropped_count,
        "keyspaces": {},
    }
    for one in chosen:
        reads = overview.get(one.name, {window: Reads() for window in WINDOWS})
        told = _keyspace(one, reads, valkey, processes.by_keyspace.get(one.name))
        if only:
            told["latencies"] = {
                row.level.name: {
                    "reads": row.read_count,
                    "p50_us": row.p50_us,
                    "p95_us": row.p95_us,
                }
                for row in figures.latencies(one.name, now=now)
            }
        found["keyspaces"][one.name] = told
    return found


def _keyspace(
    keyspace: Keyspace[Any],
    reads: dict[str, Reads],
    valkey: contents.ValkeyFigures | None,
    memory: L1Figures | None,
) -> dict[str, Any]:
    policy = policies.of(keyspace)
    held = valkey.by_keyspace.get(keyspace.name, L2Figures()) if valkey else None
    return {
        "is_enabled": policy.is_enabled,
        "policy": {name: getattr(policy, name) for name in policies.TUNABLE},
        "windows": {window: _reads(one) for window, one in reads.items()},
        "memory": {
            "entries": memory.entries if memory else 0,
            "evictions": memory.evictions if memory else 0,
        },
        "valkey": held
        and {"entries": held.entries, "bytes": held.bytes, "is_estimate": held.is_estimate},
    }


def _reads(reads: Reads) -> dict[str, Any]:
    return {
        "hit_ratio": reads.hit_ratio,
        **{level.name: reads.counts.get(level, 0) for level in Level},
        "saved_us": reads.saved_us,
        "saved_nanos": reads.saved_nanos,
    }
