"""Many threads that open and settle calls at the same moment, as one of several processes that do.

Run as `python -m tests.billing.processes.racer`; tests/caching/processes/talking.py says how to talk with it.
"""

import random
import threading
import time
from typing import Any
from uuid import UUID

import django

from tests.caching.processes.talking import serve


def run(
    department: str, calls: int, threads: int, seed: int, most: list[int], starts_at: float
) -> list[dict[str, Any]]:
    """Make the calls, each of a maximum from `most` (tokens); return what became of each, with its times.

    A granted call takes no time, and then is settled at a part of its maximum; the times are of the clock PostgreSQL
    sees too.
    """
    from django.db import connections

    from apps.billing import services
    from apps.billing.errors import BudgetExceededError
    from apps.billing.models import Outcome, Purpose
    from apps.billing.types import CallContext, Usage
    from apps.core.ids import uuid7

    results: list[dict[str, Any]] = []

    def make(tokens: int, share: float) -> dict[str, Any]:
        context = CallContext(
            request_id=uuid7(), department_id=UUID(department), purpose=Purpose.ANSWER
        )
        begun_at = time.time()
        try:
            reserved = services.reserve(
                context=context,
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
        used = round(tokens * share)
        settled = services.settle(
            reservation_id=reserved.reservation_id,
            outcome=Outcome.COMPLETED,
            usage=Usage(input_tokens=used),
            elapsed_ms=1,
        )
        return {"max": reserved.max_nanos, "amount": settled.amount_nanos}

    def work(number: int) -> None:
        # Each thread has numbers of its own, so that a run can be repeated.
        dice = random.Random(seed * 10_000 + number)
        time.sleep(max(0.0, starts_at - time.time()))
        for _call in range(number, calls, threads):
            results.append(make(dice.choice(most), dice.random()))
        connections.close_all()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return results


def ready() -> bool:
    """Say that all is loaded."""
    return True


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    serve({"run": run, "ready": ready})


if __name__ == "__main__":
    main()
