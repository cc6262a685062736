"""The one listener of a process: it hears of changed generations, keeps L1 honest, and closes the breaker.

A daemon thread, started at the first read of the process and again after a fork. Its connection both tracks and reads: with
two, the death of the tracking one would go unnoticed, and L1 would be silently old.
"""

import logging
import os
import threading
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections
from redis import Redis
from redis.exceptions import RedisError

from apps.caching import local, news, outbox, remote
from apps.caching.breaker import breaker
from apps.caching.flights import flights
from apps.tuning import live

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0
RETRY_SECONDS = 0.25
_LIFE_KEY = "p:{listener}"


class Listener:
    """The thread and its connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.is_started = False
        self._stopping = threading.Event()
        self._connection: Any = None

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._lock:
            if self.is_started:
                return
            self._stopping = threading.Event()
            self._thread = threading.Thread(target=self._run, name="cache-listener", daemon=True)
            self._thread.start()
            self.is_started = True

    def stop(self) -> None:
        """End the thread and wait for it; the next read starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopping.set()
            connection = self._connection
        if connection is not None:
            # Its reader wakes up with an error.
            connection.disconnect()
        if thread is not None:
            thread.join()
        self.is_started = False

    def _run(self) -> None:
        stopping = self._stopping
        while not stopping.is_set():
            try:
                self._listen(stopping)
            except (RedisError, OSError, remote.Unavailable) as error:
                if not stopping.is_set():
                    breaker.trip(error)
            except DatabaseError:
                logger.exception("what is left to invalidate could not be read")
            except Exception:
                # The thread must live: without it nothing would close the breaker again.
                logger.exception("cache listener failed")
            finally:
                local.shut()
            stopping.wait(RETRY_SECONDS)

    def _listen(self, stopping: threading.Event) -> None:
        """Connect, make sure that nothing old is left, then hear the news until the connection or the breaker breaks."""
        connection = self._connection = _connect()
        try:
            _expect_life(connection)
            if breaker.is_open:
                _recover()
            local.open_up()
            live.forget()
            # What broke while we connected is looked at below.
            asked_at = time.monotonic()
            while not stopping.is_set() and not breaker.is_open:
                if connection.can_read(timeout=PING_SECONDS):
                    _take(connection.read_response(push_request=True))
                if time.monotonic() - asked_at >= PING_SECONDS:
                    _expect_life(connection)
                    asked_at = time.monotonic()
        finally:
            connection.disconnect()


def _expect_life(connection: Any) -> None:
    """Have a key written within a second, and take the news that come before the answer.

    Written, not pinged: a Valkey that has become read-only or full still answers, but can no longer be told of changes.

    Raises:
        OSError: nothing came.
        RedisError: it refused.
    """
    connection.send_command("SET", _LIFE_KEY, "", "PX", int(PING_SECONDS * 10_000))
    deadline = time.monotonic() + PING_SECONDS
    while time.monotonic() < deadline:
        if not connection.can_read(timeout=PING_SECONDS):
            continue
        answer = connection.read_response(push_request=True)
        if answer in (b"OK", "OK"):
            return
        _take(answer)
    raise OSError("no sign of life from the cache")


def _connect() -> Any:
    """Return a RESP3 connection that is told of every changed generation."""
    pool = Redis.from_url(
        settings.CACHE_URL,
        protocol=3,
        socket_timeout=PING_SECONDS,
        socket_connect_timeout=PING_SECONDS,
    ).connection_pool
    connection: Any = pool.make_connection()
    connection.connect()
    # Given back to the reader as they are: the parser would log, and lose, what a handler raises.
    connection._parser.set_invalidation_push_handler(lambda push: push)
    connection.send_command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", remote.GENERATION_PREFIX)
    connection.read_response()
    return connection


def _recover() -> None:
    """Close the breaker, once everything that changed while Valkey was away has been invalidated in it."""
    try:
        # The outbox holds it all, whoever was to tell Valkey and could not.
        outbox.drain()
    finally:
        connections.close_all()
    remote.drop_connections()
    breaker.close()


def _take(push: Any) -> None:
    """Drop what a piece of news names; news without names (FLUSHALL) drops everything."""
    if not isinstance(push, list) or push[:1] not in ([b"invalidate"], ["invalidate"]):
        return
    if push[1] is None:
        local.clear()
        live.forget()
        return
    for raw in push[1]:
        key = raw.decode() if isinstance(raw, bytes) else raw
        if key == news.TUNING_KEY:
            live.forget()
        else:
            local.drop(*remote.read_generation_key(key))


listener = Listener()


def ensure() -> None:
    """See that this process listens."""
    if not listener.is_started:
        listener.start()


def _after_fork() -> None:
    """Begin anew in a forked child: threads are not taken along, and their locks may be held for ever."""
    global listener  # noqa: PLW0603 - one listener a process is the point
    listener = Listener()
    breaker.renew()
    flights.renew()
    local.renew()


os.register_at_fork(after_in_child=_after_fork)
