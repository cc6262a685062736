"""The price book: what each meter of a model costs now, through the cache, and what it has cost since it is known.

Calls are charged from the rows themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.utils import timezone

from apps.billing.cache import PRICE_BOOK
from apps.billing.models import Meter, Price
from apps.caching import store
from apps.caching.signals import invalidate_with

Prices = tuple[tuple[str, int], ...]

# By which meter's price one is charged that has none of its own; others cost nothing then.
STANDS_IN = {
    Meter.CACHE_READ: Meter.INPUT,
    Meter.CACHE_WRITE: Meter.INPUT,
    Meter.EMBEDDING: Meter.INPUT,
    Meter.BATCH_INPUT: Meter.INPUT,
    Meter.BATCH_OUTPUT: Meter.OUTPUT,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A meter's price during one span; `begins_here`: its row starts with the span. No row: not priced yet."""

    row: Price | None
    begins_here: bool


@dataclass(frozen=True, slots=True)
class PriceSpan:
    """A time in which no price of the model changed; `ends_at` None: nothing is known after it."""

    starts_at: datetime
    ends_at: datetime | None
    is_now: bool
    is_to_come: bool
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """All prices of a model: its priced meters side by side, the spans newest first.

    `stand_ins` are (meter, meter by whose price it is charged) of those without a price of their own.
    """

    meters: Sequence[Meter]
    spans: Sequence[PriceSpan]
    stand_ins: Sequence[tuple[Meter, Meter]]


def in_force(*, provider_code: str, model_code: str) -> Prices:
    """Return (meter, nanos per million tokens) of each meter that has a price now; a new row shows within seconds."""
    key = (provider_code, model_code)
    return store.get_or_compute(PRICE_BOOK, key, partial(_in_force, provider_code, model_code))


def _in_force(provider_code: str, model_code: str) -> Prices:
    prices = Price.objects.of_model(provider_code=provider_code, model_code=model_code)
    return tuple(
        (price.meter, price.nanos_per_million_tokens) for price in prices.effective(timezone.now())
    )


def history(*, provider_code: str, model_code: str, at: datetime) -> ModelPrices:
    """Return all prices a model has had, has at this moment and will have (one query)."""
    rows = Price.objects.of_model(provider_code=provider_code, model_code=model_code)
    by_meter: dict[str, list[Price]] = {}
    for row in rows.order_by("starts_at"):
        by_meter.setdefault(row.meter, []).append(row)
    meters = [meter for meter in Meter if meter in by_meter]
    begins = sorted({row.starts_at for found in by_meter.values() for row in found})
    spans = [
        PriceSpan(
            starts_at=starts_at,
            ends_at=ends_at,
            is_now=starts_at <= at and (ends_at is None or at < ends_at),
            is_to_come=at < starts_at,
            cells=[_cell(by_meter[meter], starts_at) for meter in meters],
        )
        for starts_at, ends_at in zip(begins, [*begins[1:], None], strict=False)
    ]
    stand_ins = [
        (meter, other)
        for meter, other in STANDS_IN.items()
        if meter not in meters and other in meters
    ]
    return ModelPrices(meters, spans[::-1], stand_ins)


def _cell(rows: Sequence[Price], starts_at: datetime) -> Cell:
    begun = [row for row in rows if row.starts_at <= starts_at]
    row = begun[-1] if begun else None
    return Cell(row, begins_here=row is not None and row.starts_at == starts_at)


def invalidate_with_changes() -> None:
    """Have saved prices invalidate their page of the book; called once, from `ready()`."""
    invalidate_with(Price, lambda price: [(PRICE_BOOK, (price.provider_code, price.model_code))])
