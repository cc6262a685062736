"""One event loop in a thread of each process, where sync code runs its provider calls and keeps its connections."""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
# The process id goes with the loop: a forked child has no such thread and needs its own.
_running: tuple[int, asyncio.AbstractEventLoop, threading.Thread] | None = None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from sync code and return its result; an interrupt cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _loop() -> asyncio.AbstractEventLoop:
    global _running  # noqa: PLW0603 - one loop a process is the point
    with _lock:
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="llm-loop", daemon=True)
            thread.start()
            _running = (os.getpid(), loop, thread)
            atexit.register(_stop, *_running)
        return _running[1]


def _stop(pid: int, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if pid != os.getpid():
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
