"""Processes of many threads that all open and settle a call at the same moment.

Run as `python -m tests.billing.processes.racer`; tests/caching/processes/talking.py says how to talk with it.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import django

from tests.billing.processes.forking import exit_code, fork_all
from tests.caching.processes.talking import serve


def run(department: str, processes: int, threads: int, most: list[int]) -> list[dict[str, Any]]:
    """Make one call in each thread of each process; return what became of each, with its times."""
    pipes = [os.pipe() for _process in range(processes)]
    children = fork_all(
        [
            partial(
                race, told=told, department=UUID(department), threads=threads, most=most, seed=seed
            )
            for seed, (_hears, told) in enumerate(pipes)
        ]
    )
    results: list[dict[str, Any]] = []
    for hears, told in pipes:
        os.close(told)
        with os.fdopen(hears) as file:
            # Not to its end: the other processes have inherited the pipe.
            results += json.loads(file.readline())
    assert not any(exit_code(child) for child in children)
    return results


def race(
    meet: Callable[[], None],
    *,
    told: int,
    department: UUID,
    threads: int,
    most: list[int],
    seed: int,
) -> None:
    """Make the calls, each of a maximum from `most` (tokens), and write what became of them.

    A granted call takes no time, and then is settled at a part of its maximum; the times are of the clock PostgreSQL
    sees too.
    """
    from django.db import connection

    connection.ensure_connection()
    connection.close()
    dice = random.Random(seed)
    plans = [(dice.choice(most), dice.random()) for _thread in range(threads)]
    results: list[dict[str, Any]] = []
    go = threading.Event()

    def make(tokens: int, share: float) -> None:
        go.wait()
        results.append(call(department, tokens, share))
        connection.close()

    workers = [threading.Thread(target=make, args=plan) for plan in plans]
    for worker in workers:
        worker.start()
    meet()
    go.set()
    for worker in workers:
        worker.join()
    with os.fdopen(told, "w") as file:
        file.write(json.dumps(results) + "\n")


def call(department: UUID, tokens: int, share: float) -> dict[str, Any]:
    """Open one call and settle it; return its maximum and amount, or the figures of its refusal."""
    from apps.billing import services
    from apps.billing.errors import BudgetExceededError
    from apps.billing.models import Outcome, Purpose
    from apps.billing.types import CallContext, Usage
    from apps.core.ids import uuid7

    begun_at = time.time()
    try:
        reserved = services.reserve(
            context=CallContext(uuid7(), department, Purpose.ANSWER),
            provider_code="provider",
            model_code="model",
            max_input_tokens=tokens,
            max_output_tokens=0,
        )
    except BudgetExceededError as error:
        told = error.refusal
        return {
            "refused": [told.limit_nanos, told.spent_nanos, told.reserved_nanos],
            "max": told.max_nanos,
            "times": [begun_at, time.time()],
        }
    settled = services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=round(tokens * share)),
        elapsed_ms=1,
    )
    return {"max": reserved.max_nanos, "amount": settled.amount_nanos}


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    serve({"run": run})


if __name__ == "__main__":
    main()
