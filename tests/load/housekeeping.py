"""What runs beside the servers of an installation: the relay of invalidations, and the sweeper of lost replies."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from django.db import connections

from apps.caching import relay
from apps.chat.finish import sweep

SWEEP_SECONDS = 1.0


@contextmanager
def housekeeping() -> Iterator[None]:
    """Keep house until the block ends."""
    stopping = threading.Event()
    with ExitStack() as stack:
        for work in (relay.run, _sweep):
            thread = threading.Thread(target=_run, args=(work, stopping))
            thread.start()
            stack.callback(thread.join)
        stack.callback(stopping.set)
        yield


def _run(work: Callable[[threading.Event], None], stopping: threading.Event) -> None:
    try:
        work(stopping)
    finally:
        connections.close_all()


def _sweep(stopping: threading.Event) -> None:
    while not stopping.wait(SWEEP_SECONDS):
        sweep()
