"""What was saved, thanks to what: how a request's saving is attributed, and the reports of it.

For each request baseline = actual + Σ saved − Σ overhead: the baseline is what it would have cost without any mechanism,
the actual what its calls cost. Rows are written by `services.record_saving` and, for the provider's cache, by settling.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth

from apps.billing.calendar import zone
from apps.billing.models import Mechanism, Reservation, Saving, UsageRecord

# Each mechanism takes the cost that those before it have left: the order is what keeps a nano from counting twice.
ORDER: Sequence[Mechanism] = tuple(Mechanism)


@dataclass(frozen=True, slots=True)
class Attributed:
    """What one mechanism saved a request, and what it cost it; never negative."""

    mechanism: Mechanism
    saved_nanos: int
    overhead_nanos: int


@dataclass(frozen=True, slots=True)
class Identity:
    """A request's sums; the baseline follows from the others."""

    actual_nanos: int
    saved_nanos: int
    overhead_nanos: int

    @property
    def baseline_nanos(self) -> int:
        """Return what the request would have cost without any mechanism."""
        return self.actual_nanos + self.saved_nanos - self.overhead_nanos


@dataclass(frozen=True, slots=True)
class SavingTotal:
    """What was saved in a span by one mechanism, department or month; `key` is its code, or the month as `2026-11`."""

    key: str
    name: str
    request_count: int
    saved_nanos: int
    overhead_nanos: int
    saved_ms: int

    @property
    def net_nanos(self) -> int:
        """Return what is left of the saving when its own cost is paid."""
        return self.saved_nanos - self.overhead_nanos


@dataclass(frozen=True, slots=True)
class MonthSaving:
    """What was saved in one month of the billing time zone, net, by mechanism."""

    total: SavingTotal
    net_nanos_by_mechanism: dict[str, int]


@dataclass(frozen=True, slots=True)
class Audit:
    """Hits by meaning that were computed all the same: what was claimed to be saved, and what computing really cost."""

    request_count: int
    claimed_nanos: int
    real_nanos: int

    @property
    def real_share(self) -> float | None:
        """Return real over claimed: above 1 the ledger claims too little, below 1 too much; None without a check."""
        return self.real_nanos / self.claimed_nanos if self.claimed_nanos else None


def attribute(
    *, baseline_nanos: int, steps: Iterable[tuple[Mechanism, int]]
) -> Sequence[Attributed]:
    """Return the rows to record of a request, given what it costs after each mechanism.

    `steps` are (mechanism, cost with it and all before it) in the order of `ORDER`, the last cost being the actual one.
    A row for each step; one that makes it dearer is an overhead. They telescope: baseline = last cost + Σ saved −
    Σ overhead, exactly.

    Raises:
        ValueError: the steps are not in that order, a mechanism comes twice, or a cost is negative.
    """
    found: list[Attributed] = []
    cost, place = baseline_nanos, -1
    for mechanism, next_cost in steps:
        if ORDER.index(mechanism) <= place:
            raise ValueError(f"{mechanism} is out of order")
        if min(cost, next_cost) < 0:
            raise ValueError("a cost is never negative")
        place = ORDER.index(mechanism)
        found.append(Attributed(mechanism, max(cost - next_cost, 0), max(next_cost - cost, 0)))
        cost = next_cost
    return found


def identity(request_id: UUID) -> Identity:
    """Return a request's actual cost, from its usage records, and its savings and overheads (three queries)."""
    calls = list(Reservation.objects.filter(request_id=request_id).values_list("pk", "created_at"))
    # A usage record has the id and the time of its reservation: the time leads to its partition.
    records = UsageRecord.objects.filter(
        pk__in=[pk for pk, _at in calls], created_at__in=[at for _pk, at in calls]
    )
    actual = records.aggregate(nanos=Sum("amount_nanos"))["nanos"] if calls else 0
    sums = Saving.objects.filter(request_id=request_id).aggregate(
        saved=Sum("saved_nanos"), overhead=Sum("overhead_nanos")
    )
    return Identity(
        actual_nanos=int(actual or 0),
        saved_nanos=int(sums["saved"] or 0),
        overhead_nanos=int(sums["overhead"] or 0),
    )


def by_mechanism(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[SavingTotal]:
    """Return what each mechanism that was at work saved from the first moment up to, without, the second; in their order."""
    rows = _sums(_between(starts_at, ends_at, department_ids).values("mechanism"))
    totals = [_total(row, row["mechanism"], str(Mechanism(row["mechanism"]).label)) for row in rows]
    return sorted(totals, key=lambda total: ORDER.index(Mechanism(total.key)))


def by_department(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[SavingTotal]:
    """Return what each department saved in the span, the most first."""
    rows = _sums(
        _between(starts_at, ends_at, department_ids).values("department__code", "department__name")
    )
    totals = [_total(row, row["department__code"], row["department__name"]) for row in rows]
    return sorted(totals, key=lambda total: (-total.net_nanos, total.key))


def by_month(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[MonthSaving]:
    """Return what each month of the billing time zone saved in which something was, and by what; the oldest first."""
    rows = _sums(
        _between(starts_at, ends_at, department_ids)
        .annotate(month=TruncMonth("created_at", tzinfo=zone()))
        .values("month", "mechanism")
    )
    months: dict[datetime, list[SavingTotal]] = {}
    for row in rows:
        months.setdefault(row["month"], []).append(_total(row, row["mechanism"], ""))
    return [_month(month, months[month]) for month in sorted(months)]


def audit(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> Audit:
    """Return the checks of hits by meaning in the span: a hit that is given has no overhead, one that is checked has."""
    checked = _between(starts_at, ends_at, department_ids).filter(
        mechanism=Mechanism.SEMANTIC_CACHE, saved_nanos__gt=0, overhead_nanos__gt=0
    )
    sums = checked.aggregate(
        requests=Count("pk"), claimed=Sum("saved_nanos"), real=Sum("overhead_nanos")
    )
    return Audit(sums["requests"], int(sums["claimed"] or 0), int(sums["real"] or 0))


def summed(totals: Iterable[SavingTotal]) -> SavingTotal:
    """Return the sum of totals that don't overlap; requests that several mechanisms served count with each."""
    rows = list(totals)
    return SavingTotal(
        key="",
        name="",
        request_count=sum(row.request_count for row in rows),
        saved_nanos=sum(row.saved_nanos for row in rows),
        overhead_nanos=sum(row.overhead_nanos for row in rows),
        saved_ms=sum(row.saved_ms for row in rows),
    )


def _between(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None
) -> QuerySet[Saving]:
    within = Q(created_at__gte=starts_at, created_at__lt=ends_at)
    if department_ids is not None:
        within &= Q(department__in=department_ids)
    return Saving.objects.filter(within)


def _sums(rows: QuerySet[Saving, Any]) -> QuerySet[Saving, dict[str, Any]]:
    sums: QuerySet[Saving, dict[str, Any]] = rows.annotate(
        request_count=Count("request_id", distinct=True),
        saved=Sum("saved_nanos"),
        overhead=Sum("overhead_nanos"),
        milliseconds=Sum("saved_ms"),
    ).order_by(F("saved").desc())
    return sums


def _total(row: dict[str, Any], key: str, name: str) -> SavingTotal:
    return SavingTotal(
        key=key,
        name=name,
        request_count=row["request_count"],
        saved_nanos=int(row["saved"]),
        overhead_nanos=int(row["overhead"]),
        saved_ms=int(row["milliseconds"]),
    )


def _month(month: datetime, totals: Sequence[SavingTotal]) -> MonthSaving:
    name = f"{month:%Y-%m}"
    total = replace(summed(totals), key=name, name=name)
    return MonthSaving(total, {one.key: one.net_nanos for one in totals})
