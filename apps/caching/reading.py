"""How one read goes beyond process memory: asked of Valkey, waited for, computed and filled. It says what to do next
and leaves the doing to a driver, so that sync and async reads are one piece of logic.
"""

import logging
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from apps.caching import entries, local, remote
from apps.caching.entries import Stored
from apps.caching.keyspaces import Key, Keyspace
from apps.caching.outcomes import Level
from apps.caching.policies import Policy

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.005
LONGEST_WAIT_SECONDS = 0.1
# After a failed compute nobody gets the lease for so long: those who wait in other processes don't try one by one.
FAILED_LEASE_MS = 1000
# What READ then answers in the place of a lease.
_FAILED_JUST_NOW = -1
# Together they name a read in the whole fleet; a forked child takes a name of its own.
_PROCESS = f"{uuid4().hex}:"
_reads = count()


@dataclass(frozen=True, slots=True)
class Ask:
    """Run a script of Valkey on the key."""

    script: remote.Script
    keys: tuple[str, str, str]
    args: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Let another process compute for a moment."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Compute:
    """Compute the value; its exceptions come back into the read."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Compute and fill in the background, under a lease that is already ours."""

    generation: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A value, where it came from, and what computing it takes (microseconds, nanos)."""

    value: Any
    level: Level
    cost_us: int = 0
    cost_nanos: int = 0


Steps = Generator[Ask | Wait | Compute | Refresh, Any, Found]


class Read:
    """One read of a key beyond process memory."""

    def __init__(self, keyspace: Keyspace[Any], policy: Policy, key: Key, digest: str) -> None:
        self.keyspace = keyspace
        self.policy = policy
        self.key = key
        self.digest = digest
        self.keys = remote.keys_of(keyspace.name, policy.epoch, digest)
        self.token = f"{_PROCESS}{next(_reads)}"
        self.began_at = time.monotonic()
        self.memory = memory_of(keyspace, policy)
        self.ticket = self.memory.ticket(digest) if self.memory is not None else None

    def steps(self) -> Steps:
        """Go through the read; the generator's value is what was found."""
        try:
            found = yield from self._beyond_memory()
        except BaseException:
            self.give_up()
            raise
        return found

    def give_up(self) -> None:
        """Leave memory without the value."""
        if self.memory is not None:
            self.memory.give_up(self.digest, self.ticket)

    def _beyond_memory(self) -> Steps:
        if not self.keyspace.has_l2:
            found = yield from self._computed(None, None)
            return found
        # The lease of a leader that has died, then one compute of whoever takes it over.
        deadline = self.began_at + 2 * self.keyspace.lease_seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                answer = yield Ask(remote.READ, self.keys, self.read_arguments())
            except remote.Unavailable:
                found = yield from self._computed(None, None)
                return found
            if isinstance(answer, bytes):
                found = yield from self._hit(entries.parse(self.keyspace, answer))
                return found
            generation, lease, old = answer
            if lease == _FAILED_JUST_NOW and old:
                return self._old(old)
            # Ours to compute; or computing has just failed elsewhere; or whoever computes takes too long.
            if lease or time.monotonic() >= deadline:
                found = yield from self._computed(generation, old)
                return found
            yield Wait(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def read_arguments(self) -> tuple[object, ...]:
        """Return the arguments of the READ script."""
        return (
            self.token,
            int(self.keyspace.lease_seconds * 1000),
            entries.generation_ms(self.keyspace, self.policy),
            "1" if self.keyspace.stale_if_error_seconds else "0",
        )

    def _hit(self, stored: Stored) -> Steps:
        self.remember(stored.value, stored.cost_us, stored.cost_nanos)
        if self.policy.beta and stored.wants_refresh(self.policy.beta):
            try:
                lease = (self.token, int(self.keyspace.lease_seconds * 1000))
                generation = yield Ask(remote.LEASE, self.keys, lease)
            except remote.Unavailable:
                generation = None
            if generation:
                yield Refresh(generation)
        return Found(stored.value, Level.L2, stored.cost_us, stored.cost_nanos)

    def _computed(self, generation: bytes | None, old: bytes | None) -> Steps:
        """Compute and fill; without a generation nothing is kept in Valkey."""
        begun = time.perf_counter()
        try:
            value = yield Compute()
        except Exception:
            if generation:
                yield from self._release(FAILED_LEASE_MS)
            if not old:
                raise
            logger.warning(
                "old value served", extra={"keyspace": self.keyspace.name}, exc_info=True
            )
            return self._old(old)
        cost_us = int((time.perf_counter() - begun) * 1_000_000)
        cost_nanos = 0 if value is None else self.keyspace.cost_nanos(value)
        is_kept = not self.keyspace.has_l2
        if generation:
            is_kept = yield from self._filled(generation, value, cost_us)
        if is_kept:
            self.remember(value, cost_us, cost_nanos)
        else:
            self.give_up()
        return Found(
            value, Level.MISS if generation or is_kept else Level.BYPASS, cost_us, cost_nanos
        )

    def _old(self, old: bytes) -> Found:
        self.give_up()
        stored = entries.parse(self.keyspace, old)
        return Found(stored.value, Level.STALE, stored.cost_us, stored.cost_nanos)

    def refreshed(self, generation: bytes) -> Steps:
        """Compute and fill ahead of time; memory takes the new value at its own next read."""
        self.memory = None  # its ticket was used by the read that found the present value
        found = yield from self._computed(generation, None)
        return found

    def _filled(
        self, generation: bytes, value: Any, cost_us: int
    ) -> Generator[Ask | Wait | Compute | Refresh, Any, bool]:
        """Put a value under its generation; False where it has moved, or the value is too large to keep."""
        packed = entries.pack(self.keyspace, self.policy, value, cost_us)
        if packed is None:
            yield from self._release(0)
            return False
        arguments = (generation, packed.raw, packed.lifetime_ms, self.token)
        try:
            filled = yield Ask(remote.FILL, self.keys, arguments)
        except remote.Unavailable:
            return False
        return bool(filled)

    def _release(self, milliseconds: int) -> Generator[Ask | Wait | Compute | Refresh, Any, None]:
        try:
            yield Ask(remote.RELEASE, self.keys, (self.token, milliseconds))
        except remote.Unavailable:
            # It ends by itself.
            return

    def remember(self, value: Any, cost_us: int, cost_nanos: int) -> None:
        """Keep the value in memory, if nothing has changed since the read began."""
        if self.memory is not None:
            # Counted from the read's beginning: a value is as old as what it was read from.
            end = self.began_at + self.policy.l1_ttl_seconds
            self.memory.fill(self.key, (value, end, self.digest, cost_us, cost_nanos), self.ticket)


def memory_of(keyspace: Keyspace[Any], policy: Policy) -> local.Memory | None:
    """Return the process memory of a keyspace, None where it has none or nobody listens for changes."""
    if not local.is_open or not policy.l1_limit:
        return None
    return local.memory(keyspace.name, policy.l1_limit, policy.epoch)


def _after_fork() -> None:
    global _PROCESS  # noqa: PLW0603 - one name a process is the point
    _PROCESS = f"{uuid4().hex}:"


os.register_at_fork(after_in_child=_after_fork)
