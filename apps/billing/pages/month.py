"""The figures of one month of cost: in all, by day against the month before, and what it went on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.billing import spans
from apps.billing.costs import overview as costs
from apps.billing.costs.types import CostFilter, CostLine, CostOverview, Dimension
from apps.billing.pages.charts import FULL, DayChart, day_chart
from apps.billing.spans import Span
from apps.core.money import format_nanos

LINES_SHOWN = 8
PARAMETERS = {
    Dimension.MODEL: "model",
    Dimension.PURPOSE: "purpose",
    Dimension.PRODUCT: "product",
    Dimension.PERSON: "person",
    Dimension.API_KEY: "key",
    Dimension.TAG: "tag",
    Dimension.DEPARTMENT: "department",
}
TITLES = {
    Dimension.MODEL: gettext_lazy("Models"),
    Dimension.PURPOSE: gettext_lazy("What for"),
    Dimension.PRODUCT: gettext_lazy("Products"),
    Dimension.PERSON: gettext_lazy("People"),
    Dimension.API_KEY: gettext_lazy("API keys"),
    Dimension.TAG: gettext_lazy("Tags"),
    Dimension.DEPARTMENT: gettext_lazy("Paid by"),
}
# One line of these says nothing: all the cost has it.
NEEDS_TWO = {Dimension.DEPARTMENT, Dimension.PRODUCT}
# A call has any number of tags and need not have a key: what is left over is none of theirs.
PARTIAL = {Dimension.TAG, Dimension.API_KEY}


@dataclass(frozen=True, slots=True)
class RankingLine:
    """One line of a ranking; `share` is in thousandths of the dearest."""

    name: str
    url: str
    share: int
    call_count: int
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """What cost most, of one kind."""

    title: str
    lines: Sequence[RankingLine]
    note: str


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """One month's cost, with the month before it."""

    title: str
    is_running: bool
    before_title: str
    before_query: str
    after_query: str
    zone: str
    spent_nanos: int
    call_count: int
    before_nanos: int
    before_same_nanos: int
    chart: DayChart
    rankings: Sequence[Ranking]
    calls_url: str
    csv_url: str


def month_figures(
    *,
    cost_filter: CostFilter,
    dimensions: Sequence[Dimension],
    span: Span,
    now: datetime,
    calls_url: str,
    csv_url: str,
    line_count: int = LINES_SHOWN,
) -> MonthFigures:
    """Return the figures of a month and of the one before; `line_count` is the most lines of a ranking."""
    found = costs.overview(cost_filter, dimensions, limit=line_count)
    earlier = spans.before(span, now=now)
    later = spans.after(span, now=now)
    before = costs.by_day(_moved(cost_filter, earlier))
    today = spans.today(now)
    link = _linker(calls_url, span)
    return MonthFigures(
        title=span.title,
        is_running=span.is_running,
        before_title=earlier.title,
        before_query=earlier.query,
        after_query=later.query if later else "",
        zone=spans.zone_name(),
        spent_nanos=found.total.amount_nanos,
        call_count=found.total.call_count,
        before_nanos=sum(day.amount_nanos for day in before),
        before_same_nanos=sum(day.amount_nanos for day in before if day.day.day <= today.day),
        chart=day_chart(
            [(day.day, day.call_count, day.amount_nanos) for day in found.days],
            before={day.day.day: day.amount_nanos for day in before},
            today=today,
            urls={day.day: f"{calls_url}?day={day.day.isoformat()}" for day in found.days},
        ),
        rankings=_rankings(found, dimensions, link, line_count),
        calls_url=f"{calls_url}?{span.query}",
        csv_url=f"{csv_url}?{span.query}",
    )


def _moved(cost_filter: CostFilter, span: Span) -> CostFilter:
    return replace(cost_filter, starts_at=span.starts_at, ends_at=span.ends_at)


def _linker(calls_url: str, span: Span) -> Callable[[Dimension, str], str]:
    """Return what leads from a line to the calls behind it; nowhere from a line of what is not set."""

    def link(dimension: Dimension, key: str) -> str:
        asked = urlencode({PARAMETERS[dimension]: key})
        return f"{calls_url}?{span.query}&{asked}" if key else ""

    return link


def _rankings(
    found: CostOverview,
    dimensions: Sequence[Dimension],
    link: Callable[[Dimension, str], str],
    line_count: int,
) -> list[Ranking]:
    return [
        _ranking(dimension, lines, found.total if len(lines) == line_count else None, link)
        for dimension in dimensions
        if _is_telling(dimension, lines := found.lines.get(dimension, []))
    ]


def _is_telling(dimension: Dimension, lines: Sequence[CostLine]) -> bool:
    if dimension in PARTIAL:
        return any(line.key for line in lines)
    return len(lines) > (1 if dimension in NEEDS_TWO else 0)


def _ranking(
    dimension: Dimension,
    lines: Sequence[CostLine],
    total: CostLine | None,
    link: Callable[[Dimension, str], str],
) -> Ranking:
    """Return one ranking; `total` is given where there may be more lines than these."""
    dearest = max(line.amount_nanos for line in lines) or 1
    shown = [
        RankingLine(
            name=line.name,
            url=link(dimension, line.key),
            share=line.amount_nanos * FULL // dearest,
            call_count=line.call_count,
            amount_nanos=line.amount_nanos,
        )
        for line in lines
    ]
    rest = total.amount_nanos - sum(line.amount_nanos for line in lines) if total else 0
    note = _("All others: %(nanos)s") % {"nanos": format_nanos(rest)} if rest > 0 else ""
    if dimension == Dimension.TAG:
        note = _("A call with two tags counts with both.")
    return Ranking(str(TITLES[dimension]), shown, note)
