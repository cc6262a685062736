"""Makes prices and the contexts of calls."""

from datetime import UTC, datetime
from typing import Any

import factory

from apps.billing import services
from apps.billing.models import Budget, Meter, Outcome, Price, Purpose, Statement
from apps.billing.types import CallContext, Settled, Usage
from apps.core.ids import uuid7
from tests.factories.accounts import DepartmentFactory

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class PriceFactory(factory.django.DjangoModelFactory[Price]):
    """A price of 0.15 a million tokens, in force since long ago."""

    class Meta:
        model = Price

    provider_code = "provider"
    model_code = "model"
    meter = Meter.INPUT
    nanos_per_million_tokens = 150_000_000
    starts_at = LONG_AGO


def call_context(**fields: Any) -> CallContext:
    """Return the context of a new request, paid by a new department unless one is named."""
    if "department_id" not in fields:
        fields["department_id"] = DepartmentFactory().pk
    return CallContext(**{"request_id": uuid7(), "purpose": Purpose.ANSWER, **fields})


class BudgetFactory(factory.django.DjangoModelFactory[Budget]):
    """A department's budget of 1 a month."""

    class Meta:
        model = Budget

    department = factory.SubFactory(DepartmentFactory)
    period = Budget.Period.MONTH
    limit_nanos = 1_000_000_000


def settled_call(
    *, usage: Usage | None = None, at: datetime | None = None, **fields: Any
) -> Settled:
    """Open a call of `provider`/`model` and settle it with this usage (1,000 fresh input tokens)."""
    usage = usage or Usage(input_tokens=1000)
    reserved = services.reserve(
        context=call_context(**fields),
        provider_code="provider",
        model_code="model",
        max_input_tokens=usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens,
        max_output_tokens=usage.output_tokens,
        at=at,
    )
    return services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=usage,
        elapsed_ms=1,
        at=at,
    )


class StatementFactory(factory.django.DjangoModelFactory[Statement]):
    """A department's statement of nothing; `month` is its closed month."""

    class Meta:
        model = Statement

    department = factory.SubFactory(DepartmentFactory)
    department_code = factory.LazyAttribute(lambda made: made.department.code)
    department_name = factory.LazyAttribute(lambda made: made.department.name)
    currency = "USD"
    lines: list[object] = []
    adjustments: list[object] = []
    shared: list[object] = []
    usage_nanos = 0
    adjustments_nanos = 0
    shared_nanos = 0
    total_nanos = 0
