"""How far each budget that concerns somebody has come; read exactly, never from a cache."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.billing.models import Budget

# One statement, so that all figures are of one moment. A budget whose period has not begun has spent nothing.
STATES = """
SELECT budget.id, budget.limit_nanos + raised.nanos, budget.soft_limit_nanos + raised.nanos,
    coalesce(counted.spent_nanos, 0), coalesce(counted.reserved_nanos, 0), period.starts_at, period.ends_at, counted.id
FROM billing_budget AS budget
CROSS JOIN LATERAL billing_period_v1(budget.period, %(at)s) AS period
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount_nanos), 0)::bigint AS nanos FROM billing_budgetincrease
    WHERE budget_id = budget.id AND starts_at <= %(at)s AND expires_at > %(at)s
) AS raised
LEFT JOIN billing_budgetperiod AS counted
    ON counted.budget_id = budget.id AND counted.starts_at = period.starts_at
WHERE budget.id = ANY (%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One budget in its running period; the limits include the increases that hold now.

    `left_nanos` is what may still be reserved, never below zero. `period_id` None: no call was counted yet.
    """

    budget_id: UUID
    label: str
    subject: str
    period: Budget.Period
    at_limit: Budget.AtLimit
    limit_nanos: int
    soft_limit_nanos: int | None
    spent_nanos: int
    reserved_nanos: int
    starts_at: datetime
    refills_at: datetime | None
    period_id: int | None

    @property
    def left_nanos(self) -> int:
        """Return what calls may still hold."""
        return max(0, self.limit_nanos - self.spent_nanos - self.reserved_nanos)

    @property
    def left_percent(self) -> int:
        """Return the share of the limit that calls may still hold, in whole percent, rounded down."""
        return self.left_nanos * 100 // self.limit_nanos if self.limit_nanos else 0

    @property
    def is_everybodys(self) -> bool:
        """Say whether all calls count in it: people are told how far it has come, never the organisation's amounts."""
        return self.subject == "everybody"

    @property
    def is_soft_reached(self) -> bool:
        """Say whether people are to be warned."""
        return self.soft_limit_nanos is not None and self.spent_nanos >= self.soft_limit_nanos

    @property
    def spent_percent(self) -> int:
        """Return the share spent, in whole percent, rounded down; 100 of a budget of nothing."""
        return self.spent_nanos * 100 // self.limit_nanos if self.limit_nanos else 100


def states(
    *,
    department_id: UUID | None,
    user_id: UUID | None,
    api_key_id: UUID | None = None,
    at: datetime | None = None,
) -> list[BudgetState]:
    """Return the budgets a call of these would count in, the one with the least left first (two queries)."""
    budgets = Budget.objects.filter(
        Q(department__isnull=True) | Q(department=department_id),
        Q(user__isnull=True) | Q(user=user_id),
        Q(api_key__isnull=True) | Q(api_key=api_key_id),
        is_enabled=True,
    )
    return sorted(of_budgets(budgets, at=at), key=lambda state: state.left_nanos)


def of_budgets(budgets: QuerySet[Budget], *, at: datetime | None = None) -> list[BudgetState]:
    """Return the state of these budgets, in no order (two queries)."""
    named = {
        budget.pk: budget for budget in budgets.select_related("department", "user", "api_key")
    }
    if not named:
        return []
    with connection.cursor() as cursor:
        cursor.execute(STATES, {"ids": list(named), "at": at or timezone.now()})
        rows = cursor.fetchall()
    return [
        BudgetState(
            budget_id=pk,
            label=str(named[pk]),
            subject=named[pk].subject,
            period=Budget.Period(named[pk].period),
            at_limit=Budget.AtLimit(named[pk].at_limit),
            limit_nanos=limit,
            soft_limit_nanos=soft,
            spent_nanos=spent,
            reserved_nanos=reserved,
            starts_at=starts_at,
            refills_at=ends_at,
            period_id=period_id,
        )
        for pk, limit, soft, spent, reserved, starts_at, ends_at, period_id in rows
    ]
