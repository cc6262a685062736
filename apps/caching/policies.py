"""The live policy of each keyspace: the operator's values over the shipped ones, one frozen snapshot a process."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.caching import keyspaces
from apps.caching.keyspaces import Keyspace
from apps.caching.models import CachePolicy
from apps.tuning import live

TUNABLE = (
    "ttl_seconds",
    "l1_ttl_seconds",
    "l1_share_ratio",
    "jitter_ratio",
    "max_value_bytes",
    "beta",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a keyspace is cached now; what each value means is told by `CachePolicy`.

    `epoch` moves with each purge; `l1_limit` is the number of entries a process may hold, 0 where it has no memory.
    """

    is_enabled: bool
    ttl_seconds: float
    l1_ttl_seconds: float
    l1_share_ratio: float
    jitter_ratio: float
    max_value_bytes: int
    beta: float
    epoch: int
    l1_limit: int


_lock = threading.Lock()
_generation: int | None = None
_policies: Mapping[str, Policy] = {}
_epochs: Mapping[str, int] = {}


def of(keyspace: Keyspace[Any]) -> Policy:
    """Return the live policy of a keyspace; reads the database only after a journalled change."""
    if live.generation() != _generation or keyspace.name not in _policies:
        refresh()
    return _policies[keyspace.name]


def refresh() -> None:
    """Read all policies again; async code calls this in a thread where `is_fresh` says no."""
    global _generation, _policies, _epochs  # noqa: PLW0603 - one snapshot a process is the point
    with _lock:
        # The generation first: rows that change in between move it, and are read again.
        generation = live.generation()
        rows = {row.keyspace: row for row in CachePolicy.objects.all()}
        _epochs = {name: row.epoch for name, row in rows.items()}
        _policies = {one.name: resolved(one, rows.get(one.name)) for one in keyspaces.everything()}
        _generation = generation


def is_fresh(keyspace: Keyspace[Any]) -> bool:
    """Say whether the policy last read is still the present one, without a query: async code asks before `known`."""
    is_current = live.is_fresh() and live.known_generation() == _generation
    return is_current and keyspace.name in _policies


def known(keyspace: Keyspace[Any]) -> Policy:
    """Return the policy last read, whatever has happened since: for async code, which must not ask the database."""
    return _policies[keyspace.name]


def last_epoch(name: str) -> int:
    """Return the epoch last read of a keyspace that this release need not know."""
    return _epochs.get(name, 0)


def resolved(keyspace: Keyspace[Any], row: CachePolicy | None) -> Policy:
    """Return the policy a row gives a keyspace: each value the row's, else the shipped one."""
    values = {
        name: getattr(keyspace, name)
        if row is None or getattr(row, name) is None
        else getattr(row, name)
        for name in TUNABLE
    }
    # A keyspace without memory stays without: sessions and answers must not outlive their invalidation in a process.
    if keyspace.l1_ttl_seconds == 0:
        values["l1_ttl_seconds"] = 0.0
    limit = values["l1_share_ratio"] * live.integer("caching.l1_entries")
    return Policy(
        is_enabled=row is None or row.is_enabled,
        epoch=row.epoch if row else 0,
        l1_limit=int(limit) if values["l1_ttl_seconds"] else 0,
        **values,
    )


def forget() -> None:
    """Have the next read go to the database."""
    global _generation  # noqa: PLW0603 - one snapshot a process is the point
    _generation = None
