"""Forks processes that change departments, relay or read, and kill themselves with SIGKILL at the step named.

Run as `python -m tests.caching.processes.forker`; talking.py says how to talk with it. Forking makes a process in
milliseconds; this one holds no connection that they could inherit.
"""

import os
import signal
from collections.abc import Callable
from uuid import UUID

import django

from tests.caching.processes.talking import serve

WRITER_DEATHS = (
    "before writing",
    "before commit",
    "after commit",
    "between invalidations",
    "after invalidations",
)
RELAY_DEATHS = ("before invalidating", "after invalidating")


def die() -> None:
    """End without any farewell."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], object]) -> int:
    """Do the work in a forked process; return its exit code, negative where a signal ended it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def write(department: str, name: str, die_at: str | None) -> int:
    """Rename a department as a service does: in a transaction, then the invalidations."""

    def work() -> None:
        from django.db import transaction

        from apps.accounts.models import Department
        from apps.caching import store
        from tests.caching.processes.spaces import KEPT, MEMORY, SHARED

        def step(label: str) -> None:
            if label == die_at:
                die()

        step("before writing")
        with transaction.atomic():
            Department.objects.filter(pk=department).update(name=name)
            transaction.on_commit(lambda: step("after commit"))
            store.invalidate(SHARED, (UUID(department),))
            transaction.on_commit(lambda: step("between invalidations"))
            store.invalidate(KEPT, (UUID(department),))
            store.invalidate(MEMORY, (UUID(department),))
            step("before commit")
        step("after invalidations")

    return in_child(work)


def relay(die_at: str) -> int:
    """Do a relay's round that dies before or after it has told Valkey, its rows still there."""

    def work() -> None:
        from apps.caching import outbox

        repeat = outbox._repeat

        def dying(rows: object) -> None:
            if die_at == "after invalidating":
                repeat(rows)
            die()

        outbox._repeat = dying
        outbox.relay_round()

    return in_child(work)


def read(space: str, department: str) -> int:
    """Read a department, and die while computing: the lease stays behind."""

    def work() -> None:
        from apps.caching import store
        from tests.caching.processes.spaces import SPACES

        store.get_or_compute(SPACES[space], (UUID(department),), die)

    return in_child(work)


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    from tests.caching.processes.spaces import SPACES, declared

    with declared(*SPACES.values()):
        serve({one.__name__: one for one in (write, relay, read)})


if __name__ == "__main__":
    main()
