"""How a value stands in Valkey: a header of fixed width, then JSON."""

import math
import random
import time
from dataclasses import dataclass
from typing import Any

import orjson

from apps.caching.keyspaces import Keyspace
from apps.caching.policies import Policy

_GENERATION = 16
_END = _GENERATION + 13
_COST_US = _END + 10
_HEADER = _COST_US + 14
_MAX_COST_US = 10**10 - 1
_MAX_COST_NANOS = 10**14 - 1
# A generation lives longer than any value or fill under it.
_GENERATION_MARGIN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Stored:
    """A value from Valkey: its end (ms of the epoch), and what computing it took."""

    value: Any
    ends_at_ms: int
    cost_us: int
    cost_nanos: int

    def wants_refresh(self, beta: float) -> bool:
        """Decide on an early refresh: more likely the nearer the end and the dearer the value.

        XFetch: now - cost * beta * ln(U) >= end, U uniform in (0, 1] (Vattani et al., VLDB 2015).
        """
        gap_ms = self.cost_us / 1000 * beta * -math.log(1.0 - random.random())  # noqa: S311 - no secret
        return time.time() * 1000 + gap_ms >= self.ends_at_ms


def parse(keyspace: Keyspace[Any], raw: bytes) -> Stored:
    """Return the value of stored bytes."""
    payload = orjson.loads(memoryview(raw)[_HEADER:])
    return Stored(
        value=None if payload is None else keyspace.load(payload),
        ends_at_ms=int(raw[_GENERATION:_END]),
        cost_us=int(raw[_END:_COST_US]),
        cost_nanos=int(raw[_COST_US:_HEADER]),
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """A value as it goes to Valkey, without its generation, and how long it stays there."""

    raw: bytes
    lifetime_ms: int


def pack(keyspace: Keyspace[Any], policy: Policy, value: Any, cost_us: int) -> Packed | None:
    """Return the bytes of a value with its jittered lifetime; None where it is larger than the policy allows."""
    payload = orjson.dumps(None if value is None else keyspace.dump(value))
    if len(payload) > policy.max_value_bytes:
        return None
    ttl = (
        policy.ttl_seconds
        if value is not None
        else min(policy.ttl_seconds, keyspace.negative_ttl_seconds)
    )
    ttl *= 1 - policy.jitter_ratio * random.random()  # noqa: S311 - no secret
    header = b"%013d%010d%014d" % (
        (time.time() + ttl) * 1000,
        min(cost_us, _MAX_COST_US),
        min(0 if value is None else keyspace.cost_nanos(value), _MAX_COST_NANOS),
    )
    return Packed(header + payload, max(1, int((ttl + keyspace.stale_if_error_seconds) * 1000)))


def generation_ms(keyspace: Keyspace[Any], policy: Policy) -> int:
    """Return how long a generation must live: twice what a value and its filling can."""
    longest = policy.ttl_seconds + keyspace.stale_if_error_seconds + keyspace.lease_seconds
    return int((longest + _GENERATION_MARGIN_SECONDS) * 2000)
