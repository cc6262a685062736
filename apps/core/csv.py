"""CSV that spreadsheets show as it is meant: written line by line, and no cell is ever taken for a formula."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import chain

# What makes a spreadsheet calculate a cell (OWASP, "CSV Injection"); the last four are their full-width forms.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# By it spreadsheets know that the file is UTF-8.
BYTE_ORDER_MARK = "\ufeff"
CONTENT_TYPE = "text/csv; charset=utf-8"


class _Line:
    """What the writer writes to: the line written last."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def rows_to_csv(header: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the header's line and each row's, as in RFC 4180 and with a byte order mark; rows are read as needed.

    Text that would be a formula gets an apostrophe before it. Numbers (int, Decimal) stay numbers, negative ones too,
    and are never written with an exponent; None is an empty cell; days and moments are written in ISO 8601.
    """
    line = _Line()
    writer = csv.writer(line)
    yield BYTE_ORDER_MARK
    for row in chain([header], rows):
        writer.writerow([_cell(value) for value in row])
        yield line.text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
