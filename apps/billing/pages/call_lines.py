"""What one call consisted of: its meters, each with its price and what it came to."""

from dataclasses import dataclass
from decimal import Decimal

from apps.billing.models import Meter, Price, UsageRecord
from apps.billing.types import COUNTED_IN
from apps.core.money import NANOS_PER_UNIT, TOKENS_PER_PRICE, amount_nanos


@dataclass(frozen=True, slots=True)
class CallLine:
    """One meter that counted something; `price` None: it had none then, and cost nothing."""

    meter: Meter
    count: int
    price: Price | None

    @property
    def name(self) -> str:
        """Return the meter as people read it."""
        return str(self.meter.label)

    @property
    def price_nanos(self) -> int | None:
        """Return the price of a million."""
        return self.price.nanos_per_million_tokens if self.price else None

    @property
    def is_borrowed(self) -> bool:
        """Say whether it was charged at another meter's price."""
        return self.price is not None and self.price.meter != self.meter

    @property
    def exact(self) -> Decimal:
        """Return what it came to in units of the currency, not rounded."""
        return Decimal(self.count * (self.price_nanos or 0)) / TOKENS_PER_PRICE / NANOS_PER_UNIT

    @property
    def amount_nanos(self) -> int:
        """Return what it came to, rounded for itself: lines can differ by a nano from the call, rounded once."""
        return amount_nanos(tokens_and_prices=[(self.count, self.price_nanos or 0)])


def lines_of(record: UsageRecord) -> list[CallLine]:
    """Return the meters that counted something (one query)."""
    prices = Price.objects.in_bulk(list(record.price_ids.values()))
    return [
        CallLine(meter, count, prices.get(record.price_ids.get(meter.value)))
        for meter, field in COUNTED_IN.items()
        if (count := getattr(record, field))
    ]
