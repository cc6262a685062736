"""FOCUS rows as lines of CSV: what many rows of usage agree in is written once, and each adds its own figures."""

from apps.billing.models import Meter, Price
from apps.billing.statements import focus
from apps.billing.statements.focus import Charge, Row
from apps.core.csv import rows_to_csv


def line_of(row: Row) -> str:
    """Return a row as its line of CSV; null is an empty field."""
    _mark, line = rows_to_csv([row.get(name) for name in focus.COLUMNS], ())
    return line


class UsageLines:
    """The lines of one meter of one charge at one price: all that is not measured stands written in them.

    A month's calls agree in a few thousand such charges; making each line from its columns took ten times as long.
    """

    __slots__ = ("_places", "_text", "charge", "meter", "nanos", "price")

    def __init__(self, charge: Charge, meter: Meter, price: Price | None) -> None:
        self.charge, self.meter, self.price = charge, meter, price
        self.nanos = price.nanos_per_million_tokens if price else 0
        self._places = focus.consumed_places(meter)
        self._text = ""

    def line(
        self, quantity: int, billed_nanos: int, starts_at: str, ends_at: str, call_id: str = ""
    ) -> str:
        """Return the line of what was used within a period, its ends as FOCUS writes times."""
        # Most meters of a charge are never used.
        text = self._text or self._write()
        billed = plain(billed_nanos, 9)
        exact = plain(quantity * self.nanos, 15)
        # In the order of focus.MEASURED.
        return text % (
            billed,
            ends_at,
            starts_at,
            plain(quantity, self._places),
            exact,
            billed,
            exact,
            plain(quantity, 6),
            call_id,
        )

    def _write(self) -> str:
        line = line_of(focus.usage_row(self.charge, self.meter, self.price))
        self._text = line.replace("%", "%%").replace(focus.HOLE, "%s")
        return self._text


def plain(value: int, places: int) -> str:
    """Return `value` × 10^−places exactly, without exponent and trailing zeros."""
    if not places:
        return str(value)
    # A sign counts as a digit here.
    digits = str(value).zfill(places + 1 + (value < 0))
    fraction = digits[-places:].rstrip("0")
    return f"{digits[:-places]}.{fraction}" if fraction else digits[:-places]
