"""What one call consisted of: its meters, each with its price and what it came to."""

from dataclasses import dataclass

from apps.billing.models import Price, UsageRecord
from apps.billing.types import COUNTED_IN
from apps.core.money import amount_nanos


@dataclass(frozen=True, slots=True)
class CallLine:
    """One meter; `price_nanos` is for a million, None where no price was set then."""

    name: str
    count: int
    price_nanos: int | None
    amount_nanos: int


def lines_of(record: UsageRecord) -> list[CallLine]:
    """Return the meters that counted something (one query).

    Each amount is rounded for itself, so the lines can differ by a nano from the call's own, rounded once.
    """
    prices = dict(
        Price.objects.filter(pk__in=record.price_ids.values()).values_list(
            "pk", "nanos_per_million_tokens"
        )
    )
    lines = []
    for meter, field in COUNTED_IN.items():
        count = getattr(record, field)
        if not count:
            continue
        price = prices.get(record.price_ids.get(meter.value))
        amount = amount_nanos(tokens_and_prices=[(count, price or 0)])
        lines.append(CallLine(str(meter.label), count, price, amount))
    return lines
