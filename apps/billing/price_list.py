"""Price rows from the genai-prices list that is installed; it asks no network."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from django.utils import timezone

from apps.billing.models import Meter, Price
from apps.core.money import NANOS_PER_UNIT
from apps.tuning import journal
from apps.tuning.models import Revision

# The list's names of what we meter, and how many millions of our units one of its units is: it gives dollars per
# million tokens or per hour. It lists embeddings as input, so they are charged by that row; batches it doesn't list.
# Left out, having no meter: writes to an hour's cache, tokens of audio, pictures and video, pages, searches.
METERS: dict[str, tuple[Meter, Fraction]] = {
    "input_mtok": (Meter.INPUT, Fraction(1)),
    "cache_read_mtok": (Meter.CACHE_READ, Fraction(1)),
    "cache_write_mtok": (Meter.CACHE_WRITE, Fraction(1)),
    "output_mtok": (Meter.OUTPUT, Fraction(1)),
    "audio_hours": (Meter.AUDIO, Fraction(3_600_000, 1_000_000)),
}

# The journal's subject of all imports: one revision each, not one a row.
IMPORTS = "billing.price:import"

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
    *,
    listed: Iterator[ListPrice],
    is_dry_run: bool = False,
    at: datetime | None = None,
    source: str = "",
) -> ImportResult:
    """Add a price row, valid from now, for each listed price that differs from the one in force.

    Rows set by an operator stand, now and for the future. Run again, it adds nothing. What was added is one revision in
    the journal, with the number of rows by provider; `source` is the list's name there.
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
    if new and not is_dry_run:
        _add(new, source)
    return ImportResult(len(new), unchanged_count, kept_count, inexpressible_count)


def _add(new: Sequence[Price], source: str) -> None:
    counts = Counter(price.provider_code for price in new)
    with journal.writing():
        Price.objects.bulk_create(new, batch_size=1000)
        journal.record(
            subject=IMPORTS,
            label=source,
            action=Revision.Action.CREATED,
            values={},
            changed={code: [None, count] for code, count in sorted(counts.items())},
            author_id=None,
            reason="",
        )


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


def nanos_of(dollars: Decimal, millions_of_units: Fraction = Fraction(1)) -> int:
    """Return dollars per so many millions of a meter's units as nanos per million, exactly or rounded half-even."""
    return round(Fraction(dollars) * NANOS_PER_UNIT / millions_of_units)


def ship_prices(*, provider_code: str, model_code: str, nanos_by_meter: dict[Meter, int]) -> None:
    """Set prices for meters that have none at all, so that an operator's own stay what they are."""
    priced = set(
        Price.objects.of_model(provider_code=provider_code, model_code=model_code).values_list(
            "meter", flat=True
        )
    )
    now = timezone.now()
    Price.objects.bulk_create(
        [
            Price(
                provider_code=provider_code,
                model_code=model_code,
                meter=meter,
                nanos_per_million_tokens=nanos,
                starts_at=now,
                source=Price.Source.SHIPPED,
            )
            for meter, nanos in nanos_by_meter.items()
            if meter not in priced
        ],
        ignore_conflicts=True,
    )
