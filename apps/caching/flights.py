"""Single flight within a process: of those who miss one key together, one reads and computes, the others take its value.

Nobody joins a flight that began before a change: `detach` takes it off the board as soon as the change is known here.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

# For so long a failure is everybody's: what has just failed is not tried by each of those who wait.
FAILURE_SECONDS = 1.0
_MAX_FAILURES = 1000


class _Async(NamedTuple):
    """The key of a flight that tasks take, not threads."""

    key: Hashable


class _Flight:
    """One read under way; those who wait for it each bring a future, so that a lonely flight costs next to nothing."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[Future[Any]] = []


class Flights:
    """The reads under way in this process by key, and those that have just failed."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew, also in a forked child, whose lock another thread of the parent may have held."""
        self._lock = threading.Lock()
        self._flying: dict[Hashable, _Flight] = {}
        self._failed: dict[Hashable, tuple[Exception, float]] = {}

    def fly(self, key: Hashable, work: Callable[[], T]) -> tuple[T, bool]:
        """Return what `work` returns, run by the first of those who ask for the key now, and whether that was us.

        Raises:
            Exception: what `work` raised, now or within the last second.
        """
        flight, future = self._join(key)
        if future is not None:
            return future.result(), False
        try:
            result = work()
        except BaseException as error:
            self._crash(key, flight, error)
            raise
        self._land(key, flight, result)
        return result, True

    async def afly(
        self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> tuple[T, bool]:
        """Do what `fly` does for async code; who leads goes on for the others when its own caller leaves."""
        # A board of their own: a thread that waits for a task could be the one the task needs (sync_to_async).
        key = _Async(key)
        flight, future = self._join(key)
        if future is not None:
            return await asyncio.wrap_future(future), False
        return await asyncio.shield(asyncio.create_task(self._alead(key, flight, work))), True

    async def _alead(
        self, key: Hashable, flight: _Flight, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        try:
            result = await work()
        except BaseException as error:
            self._crash(key, flight, error)
            raise
        self._land(key, flight, result)
        return result

    def detach(self, key: Hashable) -> None:
        """Let nobody join the key's flight any more; those aboard stay."""
        with self._lock:
            self._flying.pop(key, None)
            self._flying.pop(_Async(key), None)

    def forgive(self, key: Hashable) -> None:
        """Let the key be tried again though it has just failed: what it depends on was changed."""
        with self._lock:
            self._failed.pop(key, None)
            self._failed.pop(_Async(key), None)

    def detach_all(self) -> None:
        """Detach every key."""
        with self._lock:
            self._flying.clear()
            self._failed.clear()

    def _join(self, key: Hashable) -> tuple[_Flight, Future[Any] | None]:
        """Return the key's flight, and what to wait for where another leads it."""
        with self._lock:
            if self._failed:
                self._raise_recent(key)
            flight = self._flying.get(key)
            if flight is None:
                flight = self._flying[key] = _Flight()
                return flight, None
            future: Future[Any] = Future()
            flight.waiting.append(future)
            return flight, future

    def _raise_recent(self, key: Hashable) -> None:
        failed = self._failed.get(key)
        if failed is not None:
            if time.monotonic() < failed[1]:
                raise failed[0]
            del self._failed[key]

    def _land(self, key: Hashable, flight: _Flight, result: Any) -> None:
        with self._lock:
            self._leave(key, flight)
        for future in flight.waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(result)

    def _crash(self, key: Hashable, flight: _Flight, error: BaseException) -> None:
        with self._lock:
            self._leave(key, flight)
            if isinstance(error, Exception):
                if len(self._failed) >= _MAX_FAILURES:
                    self._failed.clear()
                self._failed[key] = error, time.monotonic() + FAILURE_SECONDS
        for future in flight.waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _leave(self, key: Hashable, flight: _Flight) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]


flights = Flights()
