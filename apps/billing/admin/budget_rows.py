"""How budgets read in the admin: a bar of what is spent and held, with where the warnings begin."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from apps.billing.budgets.state import BudgetState, of_budgets
from apps.billing.models import Budget
from apps.billing.pages.charts import BudgetBar, budget_bar


class Standing(StrEnum):
    """How near a budget is to its limit: nothing left, past its soft limit, or neither."""

    FULL = "full"
    SOFT = "soft"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One budget now, and its bar."""

    state: BudgetState
    bar: BudgetBar
    standing: Standing


def row_of(state: BudgetState) -> BudgetRow:
    """Return how this state is shown."""
    bar = budget_bar(
        limit_nanos=state.limit_nanos,
        soft_limit_nanos=state.soft_limit_nanos,
        spent_nanos=state.spent_nanos,
        reserved_nanos=state.reserved_nanos,
    )
    if not state.left_nanos:
        return BudgetRow(state, bar, Standing.FULL)
    return BudgetRow(state, bar, Standing.SOFT if state.is_soft_reached else Standing.FINE)


def rows_of(budgets: "QuerySet[Budget]", *, at: datetime | None = None) -> list[BudgetRow]:
    """Return these budgets as they stand, those with the greatest share spent first (two queries)."""
    rows = [row_of(state) for state in of_budgets(budgets, at=at)]
    return sorted(rows, key=lambda row: (-row.state.spent_percent, row.state.label))


def drawn(row: BudgetRow) -> SafeString:
    """Return the bar with its amounts, for a cell of a list."""
    return render_to_string("admin/billing/_budget_bar.html", {"row": row})
