"""Settled calls of every kind, and their sums as plain Python makes them: what all figures are compared with."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from apps.accounts.models import ApiKey, Department, User
from apps.billing import calendar, services
from apps.billing.costs.types import CostFilter, CostLine
from apps.billing.models import Meter, Outcome, Purpose, UsageRecord
from apps.billing.types import Usage
from apps.core.ids import uuid7
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import PriceFactory, call_context

MODELS = ("small", "large/new")
PRODUCTS = ("chat", "api")
TAGS = ((), (), ("alpha",), ("alpha", "beta"))


class Organisation:
    """Two departments, three people and a key; `spend_by` has them make calls."""

    def __init__(self, *, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.departments: list[Department] = [DepartmentFactory() for _ in range(2)]
        self.people: list[User] = [UserFactory(department=None) for _ in range(3)]
        self.key = ApiKey.objects.create(
            name="Robot",
            prefix=f"k{uuid7().hex[-8:]}",
            secret_hash=b"x",
            owner=self.people[0],
            department=self.departments[0],
        )
        for model in MODELS:
            for meter in (Meter.INPUT, Meter.CACHE_READ, Meter.OUTPUT):
                PriceFactory(
                    model_code=model,
                    meter=meter,
                    nanos_per_million_tokens=self._random.randrange(10**8, 10**9),
                )

    def spend_by(self, span: tuple[datetime, datetime], *, count: int) -> None:
        """Make and settle calls at moments spread over a span."""
        starts_at, ends_at = span
        for _ in range(count):
            self.call(at=starts_at + (ends_at - starts_at) * self._random.random())

    def call(self, *, at: datetime | None = None, **fields: Any) -> None:
        """Make and settle one call of any kind, but for the fields given."""
        one = self._random
        context = {
            "department_id": one.choice(self.departments).pk,
            "user_id": one.choice([None, *(person.pk for person in self.people)]),
            "api_key_id": one.choice([None, self.key.pk]),
            "product": one.choice(PRODUCTS),
            "purpose": one.choice([Purpose.ANSWER, Purpose.TITLE]),
            "tags": one.choice(TAGS),
        }
        model_code = fields.pop("model_code", one.choice(MODELS))
        reserved = services.reserve(
            context=call_context(**context | fields),
            provider_code="provider",
            model_code=model_code,
            max_input_tokens=3000,
            max_output_tokens=1000,
            at=at,
        )
        services.settle(
            reservation_id=reserved.reservation_id,
            outcome=Outcome.COMPLETED,
            usage=Usage(
                input_tokens=one.randrange(1000),
                cached_input_tokens=one.choice((0, one.randrange(1000))),
                cache_write_tokens=one.choice((0, one.randrange(1000))),
                output_tokens=one.randrange(500),
                embedding_tokens=one.choice((0, 0, 7)),
                batch_input_tokens=one.choice((0, 0, 9)),
                batch_output_tokens=one.choice((0, 0, 5)),
            ),
            elapsed_ms=1,
            at=at,
        )


def expected_lines(
    cost_filter: CostFilter, keys: Callable[[UsageRecord], Iterable[str]]
) -> dict[str, tuple[int, int, int, int, int]]:
    """Return (calls, input, cached input, output, nanos) by each key of the calls the filter means."""
    sums: dict[str, Counter[int]] = {}
    for record in UsageRecord.objects.all():
        if not is_meant(record, cost_filter):
            continue
        values = (
            1,
            record.input_tokens
            + record.cached_input_tokens
            + record.cache_write_tokens
            + record.embedding_tokens
            + record.batch_input_tokens,
            record.cached_input_tokens,
            record.output_tokens + record.batch_output_tokens,
            record.amount_nanos,
        )
        for key in keys(record):
            sums.setdefault(key, Counter()).update(dict(enumerate(values)))
    return {key: tuple(counter[n] for n in range(5)) for key, counter in sums.items()}  # type: ignore[misc]


def is_meant(record: UsageRecord, cost_filter: CostFilter) -> bool:
    """Say whether the filter means the call."""
    if not cost_filter.starts_at <= record.created_at < cost_filter.ends_at:
        return False
    departments = cost_filter.department_ids
    if departments is not None and record.department_id not in departments:
        return False
    if cost_filter.tag is not None and cost_filter.tag not in record.tags:
        return False
    names = ("user_id", "api_key_id", "product", "purpose", "provider_code", "model_code")
    return all(getattr(cost_filter, name) in (None, getattr(record, name)) for name in names)


def sums_of(lines: Iterable[CostLine]) -> dict[str, tuple[int, int, int, int, int]]:
    """Return the lines as `expected_lines` has them."""
    return {
        line.key: (
            line.call_count,
            line.input_tokens,
            line.cached_input_tokens,
            line.output_tokens,
            line.amount_nanos,
        )
        for line in lines
    }


def day_of(record: UsageRecord) -> str:
    """Return the day of the billing time zone a call was opened on."""
    return record.created_at.astimezone(calendar.zone()).date().isoformat()


def month(year: int, number: int, *, months: int = 1) -> tuple[datetime, datetime]:
    """Return where a month of the billing time zone starts, and the one after so many."""
    starts_at = datetime(year, number, 1, tzinfo=calendar.zone())
    ends_at = starts_at
    for _ in range(months):
        ends_at = calendar.next_month(ends_at)
    return starts_at, ends_at


DAY = timedelta(days=1)
