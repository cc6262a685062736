"""The cost overview written down as CSV: exactly what the page shows."""

from collections.abc import Iterator, Sequence

from django.conf import settings

from apps.billing.admin.cost_page import CostPage
from apps.billing.costs.types import CostLine, DayCost
from apps.core.money import in_units

Cells = Sequence[object]

CSV_HEADER = (
    "section", "name", "code", "amount", "currency", "calls", "input_tokens", "cached_input_tokens", "output_tokens",
)  # fmt: skip


def csv_rows(page: CostPage) -> Iterator[Cells]:
    """Yield what the page shows as rows under `CSV_HEADER`; amounts exact, in units of the currency."""
    yield _line("total", page.title, "", page.total)
    yield _line("total before", page.before_title, "", page.before)
    if page.forecast:
        parts = ("p10_nanos", "p50_nanos", "p90_nanos")
        for code, nanos in ((part[:3], getattr(page.forecast, part)) for part in parts):
            yield _amount("forecast", page.month_end.isoformat(), code, nanos)
    if page.corrections_nanos is not None:
        yield _amount("corrections", page.title, "", page.corrections_nanos)
    yield from _days(page)
    yield from _sections(page)
    yield from _budgets(page)


def _days(page: CostPage) -> Iterator[Cells]:
    for day in page.days:
        if not day.is_ahead:
            yield _day("day", day.cost)
        if day.before:
            yield _day("day before", day.before)


def _sections(page: CostPage) -> Iterator[Cells]:
    for section in page.sections:
        for row in section.rows:
            yield _line(section.title, row.name, row.key, row.line)
        if section.rest:
            yield _line(section.title, section.rest.name, "", section.rest)


def _budgets(page: CostPage) -> Iterator[Cells]:
    for row in page.budgets:
        state = row.state
        code = str(state.budget_id)
        yield _amount("budget limit", state.label, code, state.limit_nanos)
        yield _amount("budget spent", state.label, code, state.spent_nanos)
        yield _amount("budget held", state.label, code, state.reserved_nanos)


def _line(section: str, name: str, code: str, line: CostLine) -> Cells:
    counts = (line.call_count, line.input_tokens, line.cached_input_tokens, line.output_tokens)
    return (*_amount(section, name, code, line.amount_nanos), *counts)


def _day(section: str, day: DayCost) -> Cells:
    return (*_amount(section, day.day.isoformat(), "", day.amount_nanos), day.call_count)


def _amount(section: str, name: str, code: str, nanos: int) -> Cells:
    return (section, name, code, in_units(nanos), settings.BILLING_CURRENCY)
