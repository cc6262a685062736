"""L1: values in the memory of this process, dropped by the listener's news, bypassed while there is no listener."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache

from apps.caching.flights import flights
from apps.caching.keyspaces import Key

# value, end (time.monotonic), digest, microseconds and nanos that computing it took
Entry = tuple[Any, float, str, int, int]


@dataclass(frozen=True, slots=True)
class L1Figures:
    """What one process holds of a keyspace, and how many entries it had to let go for want of room."""

    entries: int
    evictions: int


class _Entries(LRUCache[Key, Entry]):
    """The least recently used entry goes first, and is told of."""

    def __init__(self, maxsize: int, on_evict: Callable[[Key, Entry], None]) -> None:
        super().__init__(maxsize)
        self._on_evict = on_evict

    def popitem(self) -> tuple[Key, Entry]:
        key, entry = super().popitem()
        self._on_evict(key, entry)
        return key, entry


class Memory:
    """The entries of one keyspace in this process.

    A read that may fill it takes a ticket first; news that arrives before the filling voids the ticket, so a value read
    before a change is never kept after it.
    """

    def __init__(self, limit: int, epoch: int) -> None:
        self.limit = limit
        self.epoch = epoch
        self.evictions = 0
        self._lock = threading.Lock()
        self._entries = _Entries(limit, self._evicted)
        self._keys: dict[str, set[Key]] = {}
        self._tickets: dict[str, set[object]] = {}

    def get(self, key: Key) -> Entry | None:
        """Return the entry of a key unless its time is over."""
        with self._lock:
            entry = self._entries.get(key)
        return entry if entry is not None and entry[1] > time.monotonic() else None

    def ticket(self, digest: str) -> object:
        """Return what `fill` must show; take it before the read begins."""
        ticket = object()
        with self._lock:
            self._tickets.setdefault(digest, set()).add(ticket)
        return ticket

    def fill(self, key: Key, entry: Entry, ticket: object) -> None:
        """Keep an entry if nothing was dropped since the ticket was taken."""
        digest = entry[2]
        with self._lock:
            if self._give_back(digest, ticket):
                self._entries[key] = entry
                self._keys.setdefault(digest, set()).add(key)

    def give_up(self, digest: str, ticket: object) -> None:
        """Return a ticket unused."""
        with self._lock:
            self._give_back(digest, ticket)

    def drop(self, digest: str) -> None:
        """Forget a key, and void the tickets for it."""
        with self._lock:
            self._tickets.pop(digest, None)
            for key in self._keys.pop(digest, ()):
                self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything, and void all tickets."""
        with self._lock:
            self._tickets.clear()
            self._keys.clear()
            self._entries = _Entries(self.limit, self._evicted)

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def _give_back(self, digest: str, ticket: object) -> bool:
        tickets = self._tickets.get(digest)
        if tickets is None or ticket not in tickets:
            return False
        tickets.discard(ticket)
        if not tickets:
            del self._tickets[digest]
        return True

    def _evicted(self, key: Key, entry: Entry) -> None:
        self.evictions += 1
        keys = self._keys.get(entry[2])
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._keys[entry[2]]


# Set by the listener alone, when its connection is up or goes down.
is_open = False
_memories: dict[str, Memory] = {}


def memory(name: str, limit: int, epoch: int) -> Memory:
    """Return the memory of a keyspace: a new one after a purge, and when the number of entries it may hold has changed."""
    found = _memories.get(name)
    if found is None or found.limit != limit or found.epoch != epoch:
        found = _memories[name] = Memory(limit, epoch)
    return found


def drop(name: str, digest: str) -> None:
    """Forget a key of a keyspace in this process."""
    flights.detach((name, digest))
    found = _memories.get(name)
    if found is not None:
        found.drop(digest)


def clear() -> None:
    """Forget all entries of this process."""
    flights.detach_all()
    for found in list(_memories.values()):
        found.clear()


def open_up() -> None:
    """Begin to keep values: the news of changes arrives from now on."""
    global is_open  # noqa: PLW0603 - one L1 a process is the point
    clear()
    is_open = True


def shut() -> None:
    """Keep and give nothing any more: news of changes could be missed."""
    global is_open  # noqa: PLW0603 - one L1 a process is the point
    is_open = False
    clear()


def renew() -> None:
    """Begin anew in a forked child, whose locks another thread of the parent may have held."""
    global is_open  # noqa: PLW0603 - one L1 a process is the point
    is_open = False
    _memories.clear()


def figures() -> dict[str, L1Figures]:
    """Return what this process holds, by keyspace."""
    return {name: L1Figures(one.size, one.evictions) for name, one in list(_memories.items())}
