"""The access log's request side: a bounded buffer of accesses, which one daemon thread a process empties."""

import atexit
import os
import threading
import time
from typing import Any

from django.conf import settings

from apps.caching.flusher import Buffer, Flusher
from apps.caching.keyspaces import Keyspace

# About 10 MB when full; a process makes fewer accesses in the seconds a database is away.
CAPACITY = 50_000
# How long the end of the process may wait for the last batch.
FAREWELL_SECONDS = 2.0

_buffer = Buffer(CAPACITY)
_accesses = _buffer.accesses
_append = _accesses.append
_now = time.time
_lock = threading.Lock()
_flusher: Flusher | None = None
# Below zero until the process's first access, so that one comparison tells both "full" and "not yet started".
_limit = -1


def note(
    keyspace: Keyspace[Any],
    digest: str | None,
    level: int,
    elapsed_us: float,
    cost_us: float,
    cost_nanos: int,
) -> None:
    """Take note of one access: an append, no lock, no I/O; the oldest access goes when the buffer is full.

    `elapsed_us` is the time of this access; `cost_us` and `cost_nanos` are what computing the value took, read from
    the entry on a hit. `digest` is None only where no key was built (`Level.BYPASS`).
    """
    _append((keyspace.name, digest, level, _now(), elapsed_us, cost_us, cost_nanos))
    if len(_accesses) > _limit:
        _attend()


def start(*, flush_seconds: float | None = None) -> None:
    """Start this process's flusher unless it runs; with 0 seconds, the tests' setting, accesses stay in the buffer."""
    global _flusher, _limit  # noqa: PLW0603 - one flusher a process is the point
    with _lock:
        seconds = settings.ACCESS_LOG_FLUSH_SECONDS if flush_seconds is None else flush_seconds
        _limit = CAPACITY
        if _flusher is None and seconds > 0:
            _flusher = Flusher(_buffer, interval_seconds=seconds)
            _flusher.start()


def stop() -> None:
    """Write what is left and end the flusher, in a bounded time; the next access starts another."""
    global _flusher, _limit
    with _lock:
        flusher, _flusher, _limit = _flusher, None, -1
    if flusher is not None:
        flusher.stop(FAREWELL_SECONDS)


def _attend() -> None:
    if _limit < 0:
        start()
    _buffer.make_room()


def _begin_anew() -> None:
    """Forget what belongs to the parent of this forked process: its accesses, its thread, its lock."""
    global _flusher, _limit, _lock
    _flusher, _limit, _lock = None, -1, threading.Lock()
    _buffer.reset()


def _say_farewell() -> None:
    """Write what is left; whatever is noted after this, while the interpreter ends, starts no thread."""
    global _limit  # noqa: PLW0603 - one flusher a process is the point
    stop()
    _limit = CAPACITY


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_say_farewell)
