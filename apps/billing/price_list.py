"""Price rows from the genai-prices list that is installed; it asks no network."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from apps.billing.models import Meter, Price
from apps.core.money import NANOS_PER_UNIT

# The list's names of what we meter; it gives dollars per million tokens.
METERS = {
    "input_mtok": Meter.INPUT,
    "cache_read_mtok": Meter.CACHE_READ,
    "cache_write_mtok": Meter.CACHE_WRITE,
    "output_mtok": Meter.OUTPUT,
}

PriceKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A model's prices in nanos by meter; None: it has prices that no single row can express."""

    provider_code: str
    model_code: str
    nanos_by_meter: dict[Meter, int] | None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did, or would do."""

    new_count: int
    unchanged_count: int
    kept_count: int
    inexpressible_count: int


def import_prices(
    *, listed: Iterator[ListPrice], is_dry_run: bool = False, at: datetime | None = None
) -> ImportResult:
    """Add a price row, valid from now, for each listed price that differs from the one in force.

    Rows set by an operator stand, now and for the future. Run again, it adds nothing.
    """
    now = at or timezone.now()
    effective = {_key(price): price for price in Price.objects.effective(now)}
    operated = {_key(price) for price in Price.objects.filter(source=Price.Source.OPERATOR)}
    new: list[Price] = []
    unchanged_count = kept_count = inexpressible_count = 0
    for entry in listed:
        if entry.nanos_by_meter is None:
            inexpressible_count += 1
            continue
        for meter, nanos in entry.nanos_by_meter.items():
            key = (entry.provider_code, entry.model_code, str(meter))
            current = effective.get(key)
            if key in operated:
                kept_count += 1
            elif current and current.nanos_per_million_tokens == nanos:
                unchanged_count += 1
            else:
                new.append(_row(entry, meter, nanos, now))
    if not is_dry_run:
        Price.objects.bulk_create(new, batch_size=1000)
    return ImportResult(len(new), unchanged_count, kept_count, inexpressible_count)


def _key(price: Price) -> PriceKey:
    return (price.provider_code, price.model_code, price.meter)


def _row(entry: ListPrice, meter: Meter, nanos: int, starts_at: datetime) -> Price:
    return Price(
        provider_code=entry.provider_code,
        model_code=entry.model_code,
        meter=meter,
        nanos_per_million_tokens=nanos,
        starts_at=starts_at,
        source=Price.Source.IMPORT,
    )


def nanos_of(dollars: Decimal) -> int:
    """Return dollars as nanos, exactly or rounded half-even."""
    return round(dollars * NANOS_PER_UNIT)
