"""The page of savings: one month's figures beside the year before it, as the admin shows them and as CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils.formats import date_format

from apps.billing import saving_months, savings
from apps.billing.calendar import previous_month
from apps.billing.models import Mechanism
from apps.billing.pages.columns import ColumnChart, column_chart
from apps.billing.savings import Audit, MonthSaving, SavingTotal
from apps.billing.spans import Span
from apps.core.money import format_nanos, in_units

MONTHS = 12
MINUTE_SECONDS, HOUR_SECONDS = 60, 3600
CSV_HEADER = (
    "section", "name", "code", "requests", "saved", "cost_of_saving", "net", "currency", "time_saved_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MonthRow:
    """One month of the chart's table: its net by mechanism, in the order of the columns."""

    name: str
    starts_at: datetime
    total: SavingTotal
    nets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row with the length of its bar, in thousandths of the longest; empty where nothing is left."""

    total: SavingTotal
    length: int


@dataclass(frozen=True, slots=True)
class SavingReport:
    """What the page shows. `actual_nanos` is what the month's calls cost; with the net, what they would have cost."""

    span: Span
    saved: SavingTotal
    actual_nanos: int
    audit: Audit
    mechanisms: Sequence[Ranked]
    departments: Sequence[Ranked]
    columns: Sequence[Mechanism]
    months: Sequence[MonthRow]
    chart: ColumnChart

    @property
    def baseline_nanos(self) -> int:
        """Return what the month would have cost without any mechanism."""
        return self.actual_nanos + self.saved.net_nanos

    @property
    def saved_time(self) -> str:
        """Return the waiting that was saved, as people read it."""
        seconds = self.saved.saved_ms / 1000
        if seconds < 2 * MINUTE_SECONDS:
            return f"{seconds:.0f} s"
        if seconds < 2 * HOUR_SECONDS:
            return f"{seconds / MINUTE_SECONDS:.0f} min"
        return f"{seconds / HOUR_SECONDS:,.0f} h"

    @property
    def saved_percent(self) -> int | None:
        """Return the net saving as a share of the baseline; None where there is none."""
        if self.baseline_nanos <= 0:
            return None
        return round(100 * self.saved.net_nanos / self.baseline_nanos)


def saving_report(span: Span, *, department_id: UUID | None = None) -> SavingReport:
    """Return the page of a month, of one department or all (three queries)."""
    chosen = None if department_id is None else (department_id,)
    begin = span.starts_at
    for _month in range(MONTHS - 1):
        begin = previous_month(begin)
    year = saving_months.rows(begin, span.ends_at, chosen)
    within = [row for row in year if row.starts_at == span.starts_at]
    mechanisms, months = savings.mechanisms_of(within), savings.months_of(year)
    seen = {code for month in months for code in month.net_nanos_by_mechanism}
    columns = [mechanism for mechanism in savings.ORDER if mechanism in seen]
    rows = _months(begin, span, {month.total.key: month for month in months}, columns)
    return SavingReport(
        span=span,
        saved=savings.summed(mechanisms),
        actual_nanos=savings.actual_nanos(span.starts_at, span.ends_at, chosen),
        audit=savings.audit_of(within),
        mechanisms=_ranked(mechanisms),
        departments=_ranked(savings.departments_of(within)),
        columns=columns,
        months=rows,
        chart=_chart(rows, columns),
    )


def csv_rows(report: SavingReport) -> Iterator[Sequence[object]]:
    """Yield what the page shows as rows under `CSV_HEADER`; amounts exact, in units of the currency."""
    yield _cells("total", report.span.title, report.saved)
    for row in report.mechanisms:
        yield _cells("mechanism", row.total.name, row.total)
    for row in report.departments:
        yield _cells("department", row.total.name, row.total)
    for month in report.months:
        yield _cells("month", month.name, month.total)


def _cells(section: str, name: str, row: SavingTotal) -> Sequence[object]:
    amounts = (row.saved_nanos, row.overhead_nanos, row.net_nanos)
    return (
        section,
        name,
        row.key,
        row.request_count,
        *(in_units(nanos) for nanos in amounts),
        settings.BILLING_CURRENCY,
        row.saved_ms,
    )


def _ranked(rows: Sequence[SavingTotal]) -> list[Ranked]:
    longest = max((row.net_nanos for row in rows), default=0)
    return [
        Ranked(row, max(row.net_nanos, 0) * 1000 // longest if longest > 0 else 0) for row in rows
    ]


def _months(
    begin: datetime, span: Span, found: dict[str, MonthSaving], columns: Sequence[Mechanism]
) -> list[MonthRow]:
    """Return every month from the first to the span's, those without savings too."""
    starts = [span.starts_at]
    while starts[-1] > begin:
        starts.append(previous_month(starts[-1]))
    rows = []
    for starts_at in reversed(starts):
        month = found.get(f"{starts_at:%Y-%m}")
        nets = month.net_nanos_by_mechanism if month else {}
        rows.append(
            MonthRow(
                name=date_format(starts_at, "M Y"),
                starts_at=starts_at,
                total=month.total if month else savings.summed(()),
                nets=[nets.get(mechanism, 0) for mechanism in columns],
            )
        )
    return rows


def _chart(rows: Sequence[MonthRow], columns: Sequence[Mechanism]) -> ColumnChart:
    return column_chart(
        [
            (
                date_format(row.starts_at, "M"),
                f"{row.name}: {format_nanos(row.total.net_nanos)}",
                list(zip((str(one) for one in columns), row.nets, strict=True)),
            )
            for row in rows
        ]
    )
