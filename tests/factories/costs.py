"""Makes cost totals without the calls they would be sums of: what forecasts and detection read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Sum

from apps.accounts.models import Department, User
from apps.billing.models import DepartmentHourCost, HourlyCost, PersonCost, Purpose

HOUR = timedelta(hours=1)
TOKENS_A_CALL = 500
SUMS = ("call_count", "input_tokens", "cached_input_tokens", "output_tokens", "amount_nanos")


def hourly_costs(
    department: Department, costs: Sequence[float], *, until: datetime, **fields: Any
) -> None:
    """Give the department these hours, in nanos, the last of which ends at `until`; a call costs a million nanos."""
    first = until - len(costs) * HOUR
    rows = [
        _values(department, first + hour * HOUR, int(nanos), **fields)
        for hour, nanos in enumerate(costs)
        if nanos
    ]
    HourlyCost.objects.bulk_create(HourlyCost(**row) for row in rows)
    sum_hours(department)


def sum_hours(department: Department) -> None:
    """Make the department's sums by hour those of its hours by kind of call."""
    DepartmentHourCost.objects.filter(department=department).delete()
    sums = (
        HourlyCost.objects.filter(department=department)
        .values("starts_at", "department_id")
        .annotate(**{f"sum_{name}": Sum(name) for name in SUMS})
    )
    DepartmentHourCost.objects.bulk_create(
        DepartmentHourCost(
            starts_at=row["starts_at"],
            department_id=row["department_id"],
            **{name: int(row[f"sum_{name}"]) for name in SUMS},
        )
        for row in sums
    )


def person_cost(department: Department, user: User, *, day: datetime, nanos: int) -> PersonCost:
    """Give the person's day in the department this cost."""
    return PersonCost.objects.create(user=user, **_values(department, day, nanos))


def _values(
    department: Department, starts_at: datetime, nanos: int, **fields: Any
) -> dict[str, Any]:
    calls = max(1, nanos // 1_000_000)
    return {
        "starts_at": starts_at,
        "department": department,
        "product": "chat",
        "purpose": Purpose.ANSWER,
        "provider_code": "provider",
        "model_code": "model",
        "call_count": calls,
        "input_tokens": calls * TOKENS_A_CALL,
        "cached_input_tokens": 0,
        "output_tokens": 0,
        "amount_nanos": nanos,
        **fields,
    }
