"""Money as integer nano-units (10⁻⁹) of the one billing currency; how it is summed and shown."""

from decimal import ROUND_HALF_EVEN, Decimal

NANOS_PER_UNIT = 1_000_000_000
TOKENS_PER_PRICE = 1_000_000
CURRENCY_SYMBOL = "$"


def amount_nanos(*, tokens_and_prices: list[tuple[int, int]]) -> int:
    """Return the amount in nanos of (token count, nanos per million tokens) pairs.

    The sum is taken exactly and rounded half-even once: once per usage record.
    """
    total = sum(tokens * price for tokens, price in tokens_and_prices)
    return int((Decimal(total) / TOKENS_PER_PRICE).to_integral_value(rounding=ROUND_HALF_EVEN))


def in_units(nanos: int) -> Decimal:
    """Return an amount of nanos in units of the currency, exact and without trailing zeros."""
    units = Decimal(nanos) / NANOS_PER_UNIT
    return units.quantize(Decimal(1)) if units == units.to_integral_value() else units.normalize()


def in_nanos(units: Decimal) -> int:
    """Return an amount of the currency's units in nanos, to the nearest (half to even)."""
    return int((units * NANOS_PER_UNIT).to_integral_value(rounding=ROUND_HALF_EVEN))


def format_nanos(nanos: int) -> str:
    """Return an amount as people read it: 0.0042 $ small, 12.35 $ middling, 1,284 $ large.

    Below one unit two significant digits are kept, so that no cost shows as nothing.
    """
    amount = Decimal(nanos) / NANOS_PER_UNIT
    size = abs(amount)
    if size == 0:
        text = "0"
    elif size >= 1000:
        text = f"{amount:,.0f}"
    elif size >= 1:
        text = f"{amount:,.2f}"
    else:
        digits = max(2, 1 - size.adjusted())
        text = f"{amount:.{digits}f}"
    return f"{text} {CURRENCY_SYMBOL}"
