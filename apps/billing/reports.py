"""What was spent in a span of time, by department, model and purpose; reads usage records only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.billing.models import Purpose, UsageRecord


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """The sum over the calls of one department, model or purpose."""

    code: str
    name: str
    call_count: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """All calls from `starts_at` up to, without, `ends_at`; each list is whole and the dearest come first."""

    starts_at: datetime
    ends_at: datetime
    total_nanos: int
    call_count: int
    departments: Sequence[UsageTotal]
    llm_models: Sequence[UsageTotal]
    purposes: Sequence[UsageTotal]


def usage_report(
    *, starts_at: datetime, ends_at: datetime, department_code: str = ""
) -> UsageReport:
    """Sum the calls opened in this span (three queries), of one department if its code is given."""
    records = UsageRecord.objects.between(starts_at, ends_at)
    if department_code:
        records = records.filter(department__code=department_code)

    def totals(
        *fields: str, named: Callable[[dict[str, Any]], tuple[str, str]]
    ) -> list[UsageTotal]:
        return [_total(row, *named(row)) for row in records.totals_by(*fields)]

    departments = totals(
        "department__code",
        "department__name",
        named=lambda row: (row["department__code"], row["department__name"]),
    )
    return UsageReport(
        starts_at=starts_at,
        ends_at=ends_at,
        total_nanos=sum(total.amount_nanos for total in departments),
        call_count=sum(total.call_count for total in departments),
        departments=departments,
        llm_models=totals(
            "provider_code",
            "model_code",
            named=lambda row: (f"{row['provider_code']}/{row['model_code']}", row["model_code"]),
        ),
        purposes=totals(
            "purpose", named=lambda row: (row["purpose"], str(Purpose(row["purpose"]).label))
        ),
    )


def _total(row: dict[str, Any], code: str, name: str) -> UsageTotal:
    return UsageTotal(
        code=code,
        name=name,
        call_count=row["call_count"],
        # What was written to the provider's cache was read by the model too.
        input_tokens=int(row["fresh_input"] + row["cache_write"]),
        cached_input_tokens=int(row["cached_input"]),
        output_tokens=int(row["output"]),
        amount_nanos=int(row["nanos"]),
    )
