"""L2: what goes to and comes from Valkey. Every call is bounded in time, and raises `Unavailable` instead of any error of Valkey."""

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings
from redis import Redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from apps.caching import scripts
from apps.caching.breaker import breaker

GENERATION_PREFIX = "g:"
Keys = tuple[str, str, str]
# More than the threads that ask at once in practice; the connections of a rush beyond it are closed after use.
MAX_IDLE_CONNECTIONS = 64


class Unavailable(Exception):  # noqa: N818 - a state, expected wherever it is caught
    """Valkey is not asked now, or has just failed."""


class Script:
    """A Lua script of `scripts`, called by its hash."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Keys, *args: Any) -> Any:
        """Run it.

        Raises:
            Unavailable: Valkey did not answer in time, or not with what was asked.
        """
        if breaker.is_open:
            raise Unavailable
        try:
            try:
                return _connections.send("EVALSHA", self.sha, 3, *keys, *args)
            except NoScriptError:
                return _connections.send("EVAL", self.text, 3, *keys, *args)
        except (RedisError, OSError) as error:
            breaker.trip(error)
            raise Unavailable from error

    async def acall(self, keys: Keys, *args: Any) -> Any:
        """Run it from async code, as `__call__` does."""
        if breaker.is_open:
            raise Unavailable
        connected: Any = async_client()
        try:
            try:
                return await connected.evalsha(self.sha, 3, *keys, *args)
            except NoScriptError:
                return await connected.eval(self.text, 3, *keys, *args)
        except (RedisError, OSError) as error:
            breaker.trip(error)
            raise Unavailable from error


class _Connections:
    """The idle connections of this process. The client's own pool looks at each before use, which costs as much as a call."""

    def __init__(self) -> None:
        self._idle: deque[Any] = deque()

    def send(self, *command: Any) -> Any:
        """Send a command and return its answer.

        Tried again where the connection was closed meanwhile, never after a wait that was in vain.
        """
        while True:
            try:
                connection = self._idle.pop()
                is_new = False
            except IndexError:
                connection = client().connection_pool.make_connection()
                is_new = True
            try:
                connection.send_command(*command)
                answer = connection.read_response()
            except RedisConnectionError:
                connection.disconnect()
                if is_new:
                    raise
            except NoScriptError:
                self._give_back(connection)
                raise
            except BaseException:
                # What it would read next may be the answer to this.
                connection.disconnect()
                raise
            else:
                self._give_back(connection)
                return answer

    def _give_back(self, connection: Any) -> None:
        if len(self._idle) < MAX_IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.disconnect()

    def close_idle(self) -> None:
        """Close what is idle: after an outage each of them would fail once more."""
        while self._idle:
            self._idle.pop().disconnect()

    def leave_to_parent(self) -> None:
        """Forget the connections without closing them: in a forked child they are the parent's."""
        self._idle = deque()


_connections = _Connections()

READ = Script(scripts.READ)
LEASE = Script(scripts.LEASE)
FILL = Script(scripts.FILL)
RELEASE = Script(scripts.RELEASE)
PEEK = Script(scripts.PEEK)
PUT = Script(scripts.PUT)
INVALIDATE = Script(scripts.INVALIDATE)


def many(
    script: Script,
    calls: Sequence[tuple[Keys, Sequence[Any]]],
    *,
    is_past_breaker: bool = False,
) -> list[Any]:
    """Run a script for several keys in one round trip; each may be on another shard.

    The relay goes past the breaker: what it does is what lets the breaker close.

    Raises:
        Unavailable: as `Script.__call__`.
    """
    if breaker.is_open and not is_past_breaker:
        raise Unavailable
    try:
        with client().pipeline(transaction=False) as pipe:
            pipe.script_load(script.text)
            for keys, args in calls:
                pipe.evalsha(script.sha, 3, *keys, *args)
            return list(pipe.execute())[1:]
    except (RedisError, OSError) as error:
        breaker.trip(error)
        raise Unavailable from error


def keys_of(name: str, epoch: int, digest: str) -> Keys:
    """Return the names of value, generation and lease; the braces keep them in one hash slot."""
    slot = f"{{{name}:{epoch}:{digest}}}"
    return f"v:{slot}", f"{GENERATION_PREFIX}{slot}", f"l:{slot}"


def read_generation_key(key: str) -> tuple[str, str]:
    """Return keyspace name and digest of a generation's key."""
    name, _epoch, digest = key[len(GENERATION_PREFIX) + 1 : -1].rsplit(":", 2)
    return name, digest


@cache
def client() -> Redis:
    """Return the process's client; its connections wait `CACHE_TIMEOUT_SECONDS`, once."""
    return Redis.from_url(
        settings.CACHE_URL,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        **_timeouts(),
    )


_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, aioredis.Redis] = WeakKeyDictionary()


def async_client() -> aioredis.Redis:
    """Return the running event loop's client."""
    loop = asyncio.get_running_loop()
    found = _async_clients.get(loop)
    if found is None:
        found = _async_clients[loop] = aioredis.Redis.from_url(
            settings.CACHE_URL,
            retry=AsyncRetry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            **_timeouts(),
        )
    return found


async def aclose() -> None:
    """Close the running loop's connections; call it at shutdown."""
    closing = _async_clients.pop(asyncio.get_running_loop(), None)
    if closing is not None:
        await closing.aclose()


def _timeouts() -> dict[str, Any]:
    seconds = settings.CACHE_TIMEOUT_SECONDS
    return {"socket_timeout": seconds, "socket_connect_timeout": seconds}


def drop_connections() -> None:
    """Close the idle connections of sync code."""
    _connections.close_idle()
    client().connection_pool.disconnect(inuse_connections=False)


os.register_at_fork(after_in_child=_connections.leave_to_parent)
