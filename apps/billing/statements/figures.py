"""The sums a month's statements are made of: proved from usage records and ledger entries, or sketched from totals."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, QuerySet, Sum

from apps.billing.costs import overview
from apps.billing.costs.types import CostFilter, Dimension
from apps.billing.models import LedgerEntry, Reservation, UsageRecord
from apps.billing.types import COUNTED_IN

LINE_FIELDS = ("department_id", "purpose", "provider_code", "model_code")
ADJUSTMENTS = (LedgerEntry.Kind.TRUE_UP, LedgerEntry.Kind.CORRECTION)

# What a department owes: all that was debited to its two accounts, less what was credited to them. And the entries
# that say they are its own but are with another's account: whose they are nobody can tell.
OWED = """
SELECT department_id, kind IN ('SETTLEMENT', 'EXCESS'),
    sum(amount_nanos * ((debit = ANY (own))::int - (credit = ANY (own))::int)),
    count(*) FILTER (WHERE NOT (debit = ANY (own) OR debit !~ '^(department|overdraft):')
        OR NOT (credit = ANY (own) OR credit !~ '^(department|overdraft):'))
FROM billing_ledgerentry
CROSS JOIN LATERAL (SELECT ARRAY['department:' || department_id, 'overdraft:' || department_id] AS own) AS accounts
WHERE booked_at >= %s AND booked_at < %s
GROUP BY 1, 2
"""


@dataclass(slots=True)
class Owed:
    """What the ledger says a department owes for a month: for its calls, and by adjustments (signed)."""

    usage_nanos: int = 0
    adjustments_nanos: int = 0
    misdirected_count: int = 0


@dataclass(slots=True)
class MonthFigures:
    """A month's sums, by department."""

    lines: dict[UUID, list[dict[str, Any]]] = field(default_factory=dict)
    adjustments: dict[UUID, list[LedgerEntry]] = field(default_factory=dict)
    owed: dict[UUID, Owed] = field(default_factory=dict)

    def usage_nanos(self, department_id: UUID) -> int:
        """Return what the department's usage records add up to."""
        return sum(line["amount_nanos"] for line in self.lines.get(department_id, ()))


@contextmanager
def snapshot() -> Iterator[None]:
    """Read everything inside as it is at one moment; within a transaction that is under way, as that one sees it."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # A month of ten million calls takes its time; nobody waits for what is read here.
        cursor.execute("SET LOCAL statement_timeout = '10min'")
        yield


def read(starts_at: datetime, ends_at: datetime) -> MonthFigures:
    """Return the sums of a month (three queries)."""
    figures = MonthFigures()
    _add_lines(figures, _usage(starts_at, ends_at))
    _add_adjustments(figures, starts_at, ends_at)
    with connection.cursor() as cursor:
        cursor.execute(OWED, (starts_at, ends_at))
        for department_id, is_usage, nanos, misdirected_count in cursor.fetchall():
            owed = figures.owed.setdefault(department_id, Owed())
            setattr(owed, "usage_nanos" if is_usage else "adjustments_nanos", int(nanos))
            owed.misdirected_count += misdirected_count
    return figures


def _add_lines(figures: MonthFigures, rows: QuerySet[UsageRecord, dict[str, Any]]) -> None:
    for row in rows:
        line = {
            "purpose": row["purpose"],
            "provider_code": row["provider_code"],
            "model_code": row["model_code"],
            "call_count": row["call_count"],
            "tokens": {
                meter.value: int(row[f"sum_{name}"])
                for meter, name in COUNTED_IN.items()
                if row[f"sum_{name}"]
            },
            "amount_nanos": int(row["nanos"]),
        }
        figures.lines.setdefault(row["department_id"], []).append(line)


def _add_adjustments(figures: MonthFigures, starts_at: datetime, ends_at: datetime) -> None:
    for entry in adjustments(starts_at, ends_at):
        figures.adjustments.setdefault(entry.department_id, []).append(entry)


def sketch(
    starts_at: datetime, ends_at: datetime, *, detailed_id: UUID | None = None
) -> MonthFigures:
    """Return a month's sums from its totals, for looking at: unproved, and of usage one line a department.

    Of the department `detailed_id` the lines are those of its records (two queries, three with it).
    """
    figures = MonthFigures()
    for cost in overview.by(CostFilter(starts_at, ends_at), Dimension.DEPARTMENT, limit=None):
        figures.lines[UUID(cost.key)] = [{"amount_nanos": cost.amount_nanos}]
    if detailed_id is not None:
        figures.lines.pop(detailed_id, None)
        _add_lines(figures, _usage(starts_at, ends_at).filter(department=detailed_id))
    _add_adjustments(figures, starts_at, ends_at)
    return figures


def adjustments(starts_at: datetime, ends_at: datetime) -> QuerySet[LedgerEntry]:
    """Return the corrections and late usage booked in a span, oldest first."""
    return (
        LedgerEntry.objects.filter(
            kind__in=ADJUSTMENTS, booked_at__gte=starts_at, booked_at__lt=ends_at
        )
        .select_related("author")
        .order_by("booked_at", "pk")
    )


def open_calls(starts_at: datetime, ends_at: datetime) -> QuerySet[Reservation]:
    """Return the calls opened in a span that have not ended."""
    return Reservation.objects.filter(
        state=Reservation.State.OPEN, created_at__gte=starts_at, created_at__lt=ends_at
    )


def has_cost(starts_at: datetime, ends_at: datetime) -> bool:
    """Say whether anything was used or booked in a span."""
    entries = LedgerEntry.objects.filter(booked_at__gte=starts_at, booked_at__lt=ends_at)
    return entries.exists() or UsageRecord.objects.between(starts_at, ends_at).exists()


def _usage(starts_at: datetime, ends_at: datetime) -> QuerySet[UsageRecord, dict[str, Any]]:
    sums = {f"sum_{name}": Sum(name) for name in COUNTED_IN.values()}
    rows: QuerySet[UsageRecord, dict[str, Any]] = (
        UsageRecord.objects.between(starts_at, ends_at)
        .values(*LINE_FIELDS)
        .annotate(call_count=Count("id"), nanos=Sum("amount_nanos"), **sums)
        .order_by("department_id", "-nanos", "purpose", "provider_code", "model_code")
    )
    return rows
