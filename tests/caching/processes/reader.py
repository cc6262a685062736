"""Reads departments through the cache in a process of its own, some of them slowly.

Run as `python -m tests.caching.processes.reader`; talking.py says how to talk with it.
"""

import threading
import time
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import django

from tests.caching.processes.talking import serve, tell

_slow: dict[str, tuple[threading.Thread, threading.Event, list[str]]] = {}


def read(space: str, department: str) -> str:
    """Read a department."""
    from apps.caching import store
    from tests.caching.processes.spaces import SPACES

    return store.get_or_compute(SPACES[space], (UUID(department),), lambda: name_of(department))


def name_of(department: str) -> str:
    """Read a department's name from the database."""
    from apps.accounts.models import Department

    return str(Department.objects.values_list("name", flat=True).get(pk=department))


def begin(space: str, department: str) -> str | None:
    """Begin a read that stops after it has seen the database; return what it saw, None if it was given a value."""
    from django.db import connections

    from apps.caching import store
    from tests.caching.processes.spaces import SPACES

    seen, may_go_on, results = threading.Event(), threading.Event(), list[str]()
    saw: list[str] = []

    def compute() -> str:
        saw.append(name_of(department))
        seen.set()
        may_go_on.wait()
        return saw[0]

    def run() -> None:
        try:
            results.append(store.get_or_compute(SPACES[space], (UUID(department),), compute))
        finally:
            seen.set()
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    seen.wait()
    _slow[space + department] = thread, may_go_on, results
    return saw[0] if saw else None


def finish(space: str, department: str) -> str:
    """Let a read that was begun go on; return its result."""
    thread, may_go_on, results = _slow.pop(space + department)
    may_go_on.set()
    thread.join()
    return results[0]


def barrier() -> bool:
    """Wait until the news so far have arrived."""
    from tests.caching.processes.barrier import until_heard

    until_heard()
    return True


def until_dropped(space: str) -> float:
    """Say that we watch, then return the moment (time.monotonic) at which memory has let go of its entry."""
    from apps.caching import local

    tell("watching")
    while local.figures()[space].entries:
        time.sleep(0.00005)
    return time.monotonic()


def forget_and_listen() -> bool:
    """Begin a new test: nothing remembered, a connection to the news."""
    from apps.caching import store
    from apps.tuning import live

    store.forget()
    live.forget()
    return barrier()


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    from tests.caching.processes.spaces import SPACES, declared

    handlers: dict[str, Any] = {
        one.__name__: one
        for one in (read, begin, finish, barrier, until_dropped, forget_and_listen)
    }
    with ExitStack() as stack:
        stack.enter_context(declared(*SPACES.values()))
        serve(handlers)


if __name__ == "__main__":
    main()
