"""Makes prices and the contexts of calls."""

from datetime import UTC, datetime
from typing import Any

import factory

from apps.billing.models import Meter, Price, Purpose
from apps.billing.types import CallContext
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
