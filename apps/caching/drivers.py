"""The doing of reads: from memory, by a driver for sync code and one for async; early refreshes; each read noted."""

import asyncio
import contextvars
import logging
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

from apps.caching import access, local
from apps.caching.keyspaces import Key, Keyspace
from apps.caching.outcomes import Level
from apps.caching.policies import Policy
from apps.caching.reading import Ask, Compute, Found, Read, Refresh, Steps, Wait, memory_of

logger = logging.getLogger(__name__)

REFRESH_THREADS = 2


def drive(read: Read, steps: Steps, compute: Callable[[], Any]) -> Found:
    """Do what a read says, step by step."""
    try:
        step = next(steps)
        while True:
            try:
                result = _do(read, step, compute)
            except BaseException as error:  # noqa: BLE001 - handed to the read, which decides
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        found: Found = end.value
        return found


def _do(read: Read, step: Ask | Wait | Compute | Refresh, compute: Callable[[], Any]) -> Any:
    if isinstance(step, Ask):
        return step.script(step.keys, *step.args)
    if isinstance(step, Compute):
        return compute()
    if isinstance(step, Wait):
        return time.sleep(step.seconds)
    return _refresh_later(read, step.generation, compute)


async def adrive(read: Read, steps: Steps, compute: Callable[[], Awaitable[Any]]) -> Found:
    """Do what a read says, step by step, without holding up the event loop."""
    try:
        step = next(steps)
        while True:
            try:
                result = await _ado(read, step, compute)
            except BaseException as error:  # noqa: BLE001 - handed to the read, which decides
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as end:
        found: Found = end.value
        return found


async def _ado(
    read: Read, step: Ask | Wait | Compute | Refresh, compute: Callable[[], Awaitable[Any]]
) -> Any:
    if isinstance(step, Ask):
        return await step.script.acall(step.keys, *step.args)
    if isinstance(step, Compute):
        return await compute()
    if isinstance(step, Wait):
        return await asyncio.sleep(step.seconds)
    task = asyncio.create_task(_arefresh(read, step.generation, compute))
    _refreshing.add(task)
    task.add_done_callback(_refreshing.discard)
    return None


# Referenced here, or they would be collected before they end.
_refreshing: set[asyncio.Task[None]] = set()
_refreshers = ThreadPoolExecutor(REFRESH_THREADS, thread_name_prefix="cache-refresh")


def _refresh_later(read: Read, generation: bytes, compute: Callable[[], Any]) -> None:
    context = contextvars.copy_context()
    _refreshers.submit(context.run, _refresh, read, generation, compute)


def _refresh(read: Read, generation: bytes, compute: Callable[[], Any]) -> None:
    try:
        drive(read, read.refreshed(generation), compute)
    except Exception:
        # The present value serves to its end; then whoever asks computes, and is told.
        logger.exception("early refresh failed", extra={"keyspace": read.keyspace.name})
    finally:
        connections.close_all()


async def _arefresh(read: Read, generation: bytes, compute: Callable[[], Awaitable[Any]]) -> None:
    try:
        await adrive(read, read.refreshed(generation), compute)
    except Exception:
        logger.exception("early refresh failed", extra={"keyspace": read.keyspace.name})


def recall(keyspace: Keyspace[Any], policy: Policy, key: Key, started: float) -> local.Entry | None:
    """Return what this process's memory holds of a key, noted as a read from there; None where it holds nothing."""
    memory = memory_of(keyspace, policy)
    entry = memory.get(key) if memory is not None else None
    if entry is not None:
        access.note(keyspace, entry[2], Level.L1, _elapsed_us(started), entry[3], entry[4])
    return entry


def note_past(keyspace: Keyspace[Any], started: float) -> None:
    """Tell the access log of a value that was computed past the cache."""
    access.note(keyspace, None, Level.BYPASS, _elapsed_us(started), 0, 0)


def note(
    keyspace: Keyspace[Any], digest: str, found: Found, started: float, *, is_leader: bool
) -> None:
    """Tell the access log of a read that went beyond memory, begun at `started` by `time.perf_counter`."""
    # Who took the value of another's computation was answered from a shared one.
    level = found.level if is_leader or found.level != Level.MISS else Level.L2
    access.note(keyspace, digest, level, _elapsed_us(started), found.cost_us, found.cost_nanos)


def _elapsed_us(started: float) -> float:
    return (time.perf_counter() - started) * 1_000_000


def _after_fork() -> None:
    """Begin anew in a forked child: the threads of the executor are not taken along."""
    global _refreshers  # noqa: PLW0603 - one executor a process is the point
    _refreshers = ThreadPoolExecutor(REFRESH_THREADS, thread_name_prefix="cache-refresh")


os.register_at_fork(after_in_child=_after_fork)
