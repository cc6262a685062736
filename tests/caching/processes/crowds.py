"""Four processes of two hundred threads each, and one key that all of them want."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from apps.caching import outbox, remote, store
from apps.caching.keyspaces import Keyspace
from tests.caching.processes.spaces import STAMPEDED
from tests.caching.processes.talking import Helper
from tests.caching.waiting import until

PROCESSES = 4
THREADS = 200
KEY = ("it",)


@pytest.fixture(scope="module")
def crowd(django_db_setup: None) -> Iterator[Callable[[], list[Helper]]]:
    """Return what gives four running processes, a new one in the place of each that died."""
    with ExitStack() as stack:
        helpers: list[Helper] = []

        def living() -> list[Helper]:
            helpers[:] = [helper for helper in helpers if helper.process.poll() is None]
            while len(helpers) < PROCESSES:
                helpers.append(stack.enter_context(Helper("stampede")))
            for helper in helpers:
                helper.tell("ready")
            assert all(helper.hear() for helper in helpers)
            return list(helpers)

        yield living


def expire(space: Keyspace[Any] = STAMPEDED) -> None:
    """Fill the key with a value, and let the value's time be over."""
    assert store.get_or_compute(space, KEY, lambda: "old") == "old"
    (value, _generation, _lease), _arguments = outbox.invalidation(space, KEY)
    remote.client().pexpire(value, 1)
    until(lambda: not remote.client().exists(value))


def rush(helpers: list[Helper], computes: Path, do: str = "run", **arguments: Any) -> None:
    """Have all processes read at the same moment."""
    fixed = {"computes": str(computes), "threads": THREADS, "starts_at": time.time() + 0.5}
    for helper in helpers:
        helper.tell(do, **fixed, **arguments)
