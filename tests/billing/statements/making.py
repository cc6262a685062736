"""Makes a month of cost: calls at chosen moments, late usage, corrections."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from apps.accounts.models import Department
from apps.billing import services
from apps.billing.models import LedgerEntry, Meter, Outcome
from apps.billing.types import Reserved, Settled, Usage
from apps.core.ids import uuid7
from tests.factories.billing import PriceFactory, call_context

OCTOBER = datetime(2025, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2025, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2025, 12, 1, tzinfo=UTC)
MIDDLE = datetime(2025, 11, 15, 12, 30, 5, tzinfo=UTC)

# Prices at which single calls end in fractions of a nano.
PRICES = {
    Meter.INPUT: 150_000_333,
    Meter.CACHE_READ: 75_000_111,
    Meter.CACHE_WRITE: 187_500_007,
    Meter.OUTPUT: 600_000_999,
    Meter.AUDIO: 3_000_001,
}


def set_prices(**fields: Any) -> None:
    """Give "provider/model" a price for each of PRICES."""
    for meter, nanos in PRICES.items():
        PriceFactory(meter=meter, nanos_per_million_tokens=nanos, **fields)


def opened(department: Department, *, at: datetime = MIDDLE, **fields: Any) -> Reserved:
    """Open a call at this moment."""
    model_code = fields.pop("model_code", "model")
    return services.reserve(
        context=call_context(department_id=department.pk, **fields),
        provider_code="provider",
        model_code=model_code,
        max_input_tokens=100_000,
        max_output_tokens=100_000,
        at=at,
    )


def settled(
    reservation_id: UUID,
    *,
    at: datetime = MIDDLE,
    outcome: Outcome = Outcome.COMPLETED,
    **usage: Any,
) -> Settled:
    """Close a call with this usage."""
    return services.settle(
        reservation_id=reservation_id,
        outcome=outcome,
        usage=Usage(**(usage or {"input_tokens": 1000, "output_tokens": 333})),
        elapsed_ms=5,
        at=at,
    )


def called(
    department: Department, *, at: datetime = MIDDLE, usage: Any = None, **fields: Any
) -> Settled:
    """Make a whole call at this moment."""
    return settled(opened(department, at=at, **fields).reservation_id, at=at, **(usage or {}))


def corrected(
    department: Department, nanos: int, *, at: datetime = MIDDLE, call_id: UUID | None = None
) -> LedgerEntry:
    """Book a correction at this moment; negative: a credit."""
    account = f"department:{department.pk}"
    debit, credit = (account, "adjustments") if nanos > 0 else ("adjustments", account)
    return LedgerEntry.objects.create(
        id=uuid7(),
        kind=LedgerEntry.Kind.CORRECTION,
        reservation_id=call_id,
        department=department,
        debit=debit,
        credit=credit,
        amount_nanos=abs(nanos),
        booked_at=at,
        posted_at=at,
        reason="Agreed with finance",
    )
