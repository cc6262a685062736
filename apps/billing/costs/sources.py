"""From which tables a span of cost is read: months and days from the totals, the rest from the calls themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.billing import calendar
from apps.billing.costs.types import CostFilter

DIMENSIONS = "department_id, api_key_id, product, purpose, provider_code, model_code, tags"
SUMS = ("call_count", "input_tokens", "cached_input_tokens", "output_tokens", "amount_nanos")
CALLS = "billing_call_cost_v1"
_NAMES = ("user_id", "tag", "api_key_id", "product", "purpose", "provider_code", "model_code")


@dataclass(frozen=True, slots=True)
class Source:
    """A table, and which part of the span is read from it."""

    table: str
    starts_at: datetime
    ends_at: datetime

    @property
    def moment(self) -> str:
        """The column the span is compared with."""
        return "created_at" if self.table == CALLS else "starts_at"


def whole_days(starts_at: datetime, ends_at: datetime) -> tuple[datetime, datetime]:
    """Return the first and last midnight within a span; with less than a day they are in reverse order."""
    first, after = calendar.day_of(starts_at)
    return (first if first == starts_at else after), calendar.day_of(ends_at)[0]


def sources(cost_filter: CostFilter, *, by_person: bool, by_day: bool) -> list[Source]:
    """Return the tables whose parts make up the filter's span without overlap.

    `by_person`: the rows must know the person; `by_day`: the rows must know the day, so months are not enough.
    """
    starts_at, ends_at = cost_filter.starts_at, cost_filter.ends_at
    first, last = whole_days(starts_at, ends_at)
    if first >= last:
        return [Source(CALLS, starts_at, ends_at)]
    parts = [Source(CALLS, starts_at, first), Source(CALLS, last, ends_at)]
    daily, monthly = _tables(cost_filter, by_person=by_person, by_day=by_day)
    month, after = calendar.month_of(first)
    first_month = month if month == first else after
    last_month, after = calendar.month_of(last)
    if cost_filter.is_open and last_month < last and not by_day:
        last = last_month = after
    if by_day or first_month >= last_month:
        parts += _days(daily, first, last, cost_filter)
    else:
        parts += [
            *_days(daily, first, first_month, cost_filter),
            Source(monthly, first_month, last_month),
            *_days(daily, last_month, last, cost_filter),
        ]
    return [part for part in parts if part.starts_at < part.ends_at]


def _days(daily: str, first: datetime, last: datetime, cost_filter: CostFilter) -> list[Source]:
    """Return the tables of a span of days: all people's are read by weeks where it has whole ones."""
    is_of_all = cost_filter.department_ids is None and cost_filter.user_id is None
    if daily != "billing_personcost" or not is_of_all:
        return [Source(daily, first, last)]
    week, after = calendar.week_of(first)
    begin = week if week == first else min(after, last)
    end = max(begin, calendar.week_of(last)[0])
    return [
        Source(daily, first, begin),
        Source("billing_personweekcost", begin, end),
        Source(daily, end, last),
    ]


def _tables(cost_filter: CostFilter, *, by_person: bool, by_day: bool) -> tuple[str, str]:
    """Return the smallest totals by day and by month that know what is asked for."""
    narrowed = {name for name in _NAMES if getattr(cost_filter, name) is not None}
    if by_person and not narrowed:
        return "billing_persondaycost", "billing_membercost"
    if by_person:
        return "billing_personcost", "billing_personmonthlycost"
    if by_day and not narrowed:
        return "billing_departmentcost", ""
    if by_day and "api_key_id" not in narrowed and cost_filter.department_ids is None:
        return "billing_organisationcost", ""
    return "billing_dailycost", "billing_monthlycost"


def conditions(cost_filter: CostFilter, *, by_person: bool = True) -> Iterator[str]:
    """Yield the filter's conditions on dimensions, as SQL with named parameters."""
    if cost_filter.department_ids is not None:
        yield "department_id = ANY(%(department_ids)s::uuid[])"
    if cost_filter.user_id is not None and by_person:
        yield "user_id = %(user_id)s"
    if cost_filter.tag is not None:
        yield "tags @> ARRAY[%(tag)s]::varchar[]"
    for name in ("api_key_id", "product", "purpose", "provider_code", "model_code"):
        if getattr(cost_filter, name) is not None:
            yield f"{name} = %({name})s"


def parameters(cost_filter: CostFilter) -> dict[str, Any]:
    """Return the values of the filter's conditions."""
    values: dict[str, Any] = {name: getattr(cost_filter, name) for name in _NAMES}
    if cost_filter.department_ids is not None:
        values["department_ids"] = list(cost_filter.department_ids)
    return values
