"""The geometry of a chart of columns above and below zero, each made of parts; lengths are thousandths of its height."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.billing.pages.charts import FULL

# Where an axis may end, in tenths of its first digit: near enough to the longest column, and read at a glance.
AXIS_ENDS = (10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a column: `code` gives it its colour."""

    code: str
    height: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its parts above zero from below, those below zero from above, and what is read when it is pointed at."""

    label: str
    said: str
    above: Sequence[Part]
    below: Sequence[Part]


@dataclass(frozen=True, slots=True)
class ColumnChart:
    """Columns on one axis, which ends at `top_nanos` and, where something is below zero, at `bottom_nanos`.

    `above` and `below` are the parts of the height on either side of zero: together all of it.
    """

    columns: Sequence[Column]
    top_nanos: int
    bottom_nanos: int
    above: int
    below: int


def column_chart(
    columns: Sequence[tuple[str, str, Sequence[tuple[str, int]]]],
) -> ColumnChart:
    """Return the chart of (label, what is read, (code, nanos) of each part); negative parts go below zero."""
    tops = [sum(nanos for _code, nanos in parts if nanos > 0) for _l, _s, parts in columns]
    bottoms = [-sum(nanos for _code, nanos in parts if nanos < 0) for _l, _s, parts in columns]
    top, bottom = _axis_end(max(tops, default=0)), _axis_end(max(bottoms, default=0))
    whole = top + bottom

    def part(code: str, nanos: int) -> Part:
        # The least amount is still seen.
        return Part(code, max(4, abs(nanos) * FULL // whole))

    return ColumnChart(
        columns=[
            Column(
                label=label,
                said=said,
                above=[part(code, nanos) for code, nanos in parts if nanos > 0],
                below=[part(code, nanos) for code, nanos in parts if nanos < 0],
            )
            for label, said, parts in columns
        ],
        top_nanos=top,
        bottom_nanos=-bottom,
        above=top * FULL // whole if whole else FULL,
        below=FULL - top * FULL // whole if whole else 0,
    )


def _axis_end(nanos: int) -> int:
    """Return where an axis from zero ends that holds this amount; 0 for 0."""
    if nanos <= 0:
        return 0
    unit = 10 ** (len(str(nanos)) - 1)
    ends: list[int] = [tenths * unit // 10 for tenths in AXIS_ENDS if tenths * unit >= nanos * 10]
    return ends[0]
