"""What the admin shows below a budget's form: how it stands, how it has stood, what raises it, who asks for more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.billing.admin.budget_rows import BudgetRow, row_of
from apps.billing.budgets.approvers import approver_names
from apps.billing.budgets.state import of_budgets
from apps.billing.models import Budget, BudgetIncrease, BudgetPeriod, BudgetRequest
from apps.billing.pages.charts import axis_end

PERIODS_SHOWN = 31
INCREASES_SHOWN = 20
FULL = 1000


@dataclass(frozen=True, slots=True)
class PastPeriod:
    """One period's bar: `left`, `top` and `height` in the drawing's units, a thousand of them high."""

    period: BudgetPeriod
    left: int
    top: int
    height: int


@dataclass(frozen=True, slots=True)
class History:
    """The last periods, the oldest first, against the limit as it is now; `limit_top` is where that is drawn."""

    periods: Sequence[PastPeriod]
    width: int
    limit_top: int
    top_nanos: int

    @property
    def shown_width(self) -> int:
        """Return how many pixels wide it is drawn where there is room."""
        return len(self.periods) * 40


@dataclass(frozen=True, slots=True)
class IncreaseLine:
    """An increase: running, still to come, or over."""

    increase: BudgetIncrease
    is_running: bool
    is_over: bool


@dataclass(frozen=True, slots=True)
class BudgetPage:
    """One budget. `raised_nanos` is what the running increases add together."""

    row: BudgetRow
    history: History | None
    increases: Sequence[IncreaseLine]
    raised_nanos: int
    waiting: Sequence[BudgetRequest]
    approvers: Sequence[str]
    has_gaps: bool


def budget_page(budget: Budget, *, now: datetime) -> BudgetPage:
    """Return what is shown of the budget (eight queries)."""
    row = row_of(of_budgets(Budget.objects.filter(pk=budget.pk), at=now)[0])
    periods = list(budget.periods.order_by("-starts_at")[:PERIODS_SHOWN])
    increases = [_line(one, now) for one in _increases(budget)]
    waiting = budget.requests.filter(state=BudgetRequest.State.WAITING)
    return BudgetPage(
        row=row,
        history=_history(periods[::-1], row.state.limit_nanos) if len(periods) > 1 else None,
        increases=increases,
        raised_nanos=sum(one.increase.amount_nanos for one in increases if one.is_running),
        waiting=list(waiting.select_related("asker").order_by("created_at")),
        approvers=approver_names([budget])[budget.pk],
        has_gaps=any(one.has_gaps and one.pk == row.state.period_id for one in periods),
    )


def _increases(budget: Budget) -> list[BudgetIncrease]:
    increases = budget.increases.select_related("approved_by", "request__asker")
    return list(increases.order_by("-expires_at")[:INCREASES_SHOWN])


def _line(increase: BudgetIncrease, now: datetime) -> IncreaseLine:
    return IncreaseLine(
        increase,
        is_running=increase.starts_at <= now < increase.expires_at,
        is_over=increase.expires_at <= now,
    )


def _history(periods: Sequence[BudgetPeriod], limit_nanos: int) -> History:
    top = axis_end(max([limit_nanos, *(period.spent_nanos for period in periods)])) or 1
    heights = [period.spent_nanos * FULL // top for period in periods]
    return History(
        periods=[
            PastPeriod(period, left=at * 10 + 1, top=FULL - height, height=height)
            for at, (period, height) in enumerate(zip(periods, heights, strict=True))
        ],
        width=len(periods) * 10,
        limit_top=FULL - limit_nanos * FULL // top,
        top_nanos=top,
    )
