"""A month of cost as rows of a CSV file: what its page shows; amounts exact, in units of the currency."""

from collections.abc import Iterator, Sequence

from django.conf import settings
from django.utils.translation import gettext as _

from apps.billing.pages.budget_cards import BudgetCard
from apps.billing.pages.month import MonthFigures
from apps.core.money import in_units

HEADER = ("section", "name", "amount", "currency", "calls")
# The page shows the dearest; a file has room for all of a department.
LINES = 5000
Row = Sequence[object]


def rows(
    month: MonthFigures, budgets: Sequence[BudgetCard], *, corrections_nanos: int | None = None
) -> Iterator[Row]:
    """Yield the sums, the days that have begun, the rankings and the budgets."""
    yield _row(_("In all"), month.title, month.spent_nanos, month.call_count)
    if corrections_nanos is not None:
        yield _row(_("Corrections"), month.title, corrections_nanos)
    yield _row(_("In all"), month.before_title, month.before_nanos)
    for day in month.chart.days:
        if not day.is_ahead:
            yield _row(_("Day"), day.day.isoformat(), day.amount_nanos, day.call_count)
    for ranking in month.rankings:
        for line in ranking.lines:
            yield _row(ranking.title, line.name, line.amount_nanos, line.call_count)
    for budget in budgets:
        if budget.spent_nanos is not None and budget.limit_nanos is not None:
            yield _row(_("Budget: spent"), budget.name, budget.spent_nanos)
            yield _row(_("Budget: limit"), budget.name, budget.limit_nanos)


def _row(section: str, name: str, nanos: int, call_count: int | None = None) -> Row:
    return (section, name, in_units(nanos), settings.BILLING_CURRENCY, call_count)
