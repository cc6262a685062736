"""Times reserve and settle the way a chat request makes them, in the database named by DATABASE_URL.

Run as `python -m tests.benchmarks.reserving`: migrates, makes a department with budgets, and prints JSON of ids and
milliseconds.
"""

import asyncio
import json
import time
from datetime import UTC, datetime
from functools import partial

import django

ROUNDS = 400
WARM_UP = 50
A_LOT = 10**15


def prepare() -> dict[str, str]:
    """Make a department, a person, prices, and budgets of the department, the person in it, and everybody."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from apps.accounts.models import Department, User
    from apps.billing import book
    from apps.billing.models import Budget, Meter, Price

    book.open_book()
    department = Department.objects.create(code="one", name="One")
    alone = Department.objects.create(code="alone", name="With one budget")
    user = User.objects.create_user(email="person@example.org", password="-", full_name="Person")
    for meter in (Meter.INPUT, Meter.CACHE_READ, Meter.OUTPUT):
        Price.objects.create(
            provider_code="provider",
            model_code="model",
            meter=meter,
            nanos_per_million_tokens=150_000_000,
            starts_at=datetime(2020, 1, 1, tzinfo=UTC),
        )
    Budget.objects.create(department=department, limit_nanos=A_LOT)
    Budget.objects.create(department=alone, limit_nanos=A_LOT)
    Budget.objects.create(
        department=department, user=user, limit_nanos=A_LOT, period=Budget.Period.DAY
    )
    Budget.objects.create(user=user, limit_nanos=A_LOT)
    return {"department": str(department.pk), "alone": str(alone.pk), "user": str(user.pk)}


async def added_ms(ids: dict[str, str]) -> list[float]:
    """Return what each call's money took, as the chat waits for it: in threads, with pooled connections."""
    from uuid import UUID

    from apps.billing import services
    from apps.billing.models import Outcome, Purpose
    from apps.billing.types import CallContext, Usage
    from apps.core.ids import uuid7
    from apps.llm import metering

    times = []
    for _round in range(ROUNDS + WARM_UP):
        context = CallContext(
            request_id=uuid7(),
            department_id=UUID(ids["department"]),
            user_id=UUID(ids["user"]),
            purpose=Purpose.ANSWER,
        )
        started = time.perf_counter()
        reserved = await metering.in_thread(
            partial(
                services.reserve,
                context=context,
                provider_code="provider",
                model_code="model",
                max_input_tokens=2000,
                max_output_tokens=500,
            )
        )
        await metering.in_thread(
            partial(
                services.settle,
                reservation_id=reserved.reservation_id,
                outcome=Outcome.COMPLETED,
                usage=Usage(input_tokens=1500, output_tokens=200),
                elapsed_ms=1,
            )
        )
        times.append((time.perf_counter() - started) * 1000)
    return times[WARM_UP:]


def main() -> None:
    """Print what was made and measured."""
    django.setup()
    ids = prepare()
    print(json.dumps({**ids, "added_ms": asyncio.run(added_ms(ids))}))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
