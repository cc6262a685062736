"""Two hundred threads that read one key at the same moment, as one of several processes that do.

Run as `python -m tests.caching.processes.stampede`; talking.py says how to talk with it.
"""

import os
import signal
import threading
import time
from pathlib import Path

import django

from tests.caching.processes.talking import serve


def count(computes: str) -> int:
    """Count a compute in a file all processes append to; return its number from 1."""
    with Path(computes).open("ab", buffering=0) as file:
        file.write(b".")
        return file.tell()


def run(computes: str, threads: int, seconds: float, leader: str, starts_at: float) -> object:
    """Read from many threads at once; return values seen, errors, and the longest time of a read in seconds.

    `leader` says what becomes of the first compute of all processes: "lives", "dies" by SIGKILL, or "fails".
    """
    from django.db import connections

    from apps.caching import store
    from tests.caching.processes.spaces import STAMPEDED

    def compute() -> str:
        is_first = count(computes) == 1
        time.sleep(seconds)
        if is_first and leader == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if leader == "fails":
            raise ValueError("the source is away")
        return "computed"

    values: set[str] = set()
    errors: list[str] = []
    times: list[float] = []

    def read() -> None:
        time.sleep(max(0.0, starts_at - time.time()))
        begun = time.monotonic()
        try:
            values.add(store.get_or_compute(STAMPEDED, ("it",), compute))
        except ValueError as error:
            errors.append(str(error))
        times.append(time.monotonic() - begun)
        connections.close_all()

    readers = [threading.Thread(target=read) for _number in range(threads)]
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join()
    return {"values": sorted(values), "errors": len(errors), "longest": max(times)}


def arun(computes: str, threads: int, seconds: float, starts_at: float) -> object:
    """Read from many asyncio tasks at once, as `run` does."""
    import asyncio

    from apps.caching import store
    from tests.caching.processes.spaces import STAMPEDED

    async def compute() -> str:
        count(computes)
        await asyncio.sleep(seconds)
        return "computed"

    async def everybody() -> list[str]:
        await asyncio.sleep(max(0.0, starts_at - time.time()))
        reads = [store.aget_or_compute(STAMPEDED, ("it",), compute) for _number in range(threads)]
        found = await asyncio.gather(*reads)
        from apps.caching import remote

        await remote.aclose()
        return found

    begun = time.monotonic()
    values = set(asyncio.run(everybody()))
    return {"values": sorted(values), "errors": 0, "longest": time.monotonic() - begun}


def ready() -> bool:
    """Connect to the news."""
    from tests.caching.processes.barrier import until_heard

    until_heard()
    return True


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    from tests.caching.processes.spaces import STAMPEDED, declared

    with declared(STAMPEDED):
        serve({one.__name__: one for one in (run, arun, ready)})


if __name__ == "__main__":
    main()
