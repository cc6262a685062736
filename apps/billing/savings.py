"""What was saved, thanks to what: how a request's saving is attributed, and the reports of it.

For each request baseline = actual + Σ saved − Σ overhead: the baseline is what it would have cost without any mechanism,
the actual what its calls cost. Rows are written by `services.record_saving` and, for the provider's cache, by settling.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.db.models import Sum

from apps.billing import saving_months
from apps.billing.calendar import zone
from apps.billing.costs.overview import CostFilter, total
from apps.billing.models import LedgerEntry, Mechanism, Reservation, Saving
from apps.billing.saving_months import SavingRow

Key = TypeVar("Key", str, datetime)

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
    """Return a request's actual cost, as the ledger has it, and its savings and overheads (two queries).

    The ledger, because usage that came after an estimate is in it only; corrections are no cost of a call.
    """
    calls = Reservation.objects.filter(request_id=request_id).values("pk")
    entries = LedgerEntry.objects.of_calls().filter(reservation_id__in=calls)
    sums = Saving.objects.filter(request_id=request_id).aggregate(
        saved=Sum("saved_nanos"), overhead=Sum("overhead_nanos")
    )
    return Identity(
        actual_nanos=entries.owed_nanos(),
        saved_nanos=int(sums["saved"] or 0),
        overhead_nanos=int(sums["overhead"] or 0),
    )


def actual_nanos(
    starts_at: datetime, ends_at: datetime, department_ids: tuple[UUID, ...] | None = None
) -> int:
    """Return what calls cost in a span, with the usage that came late in it as its savings do (two queries)."""
    # Without settlements first: said so, the partial index of adjustments serves.
    late = LedgerEntry.objects.exclude(kind=LedgerEntry.Kind.SETTLEMENT).filter(
        kind=LedgerEntry.Kind.TRUE_UP, booked_at__gte=starts_at, booked_at__lt=ends_at
    )
    if department_ids is not None:
        late = late.filter(department__in=department_ids)
    cost = total(CostFilter(starts_at, ends_at, department_ids=department_ids))
    return cost.amount_nanos + late.owed_nanos()


def by_mechanism(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[SavingTotal]:
    """Return what each mechanism that was at work saved from the first moment up to, without, the second; in their order."""
    return mechanisms_of(saving_months.rows(starts_at, ends_at, department_ids))


def by_department(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[SavingTotal]:
    """Return what each department saved in the span, the most first."""
    return departments_of(saving_months.rows(starts_at, ends_at, department_ids))


def by_month(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[MonthSaving]:
    """Return what each month of the billing time zone saved in which something was, and by what; the oldest first."""
    return months_of(saving_months.rows(starts_at, ends_at, department_ids))


def audit(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> Audit:
    """Return the checks of hits by meaning in the span: a hit that is given has no overhead, one that is checked has."""
    return audit_of(saving_months.rows(starts_at, ends_at, department_ids))


def mechanisms_of(rows: Iterable[SavingRow]) -> list[SavingTotal]:
    """Return the same of rows that were read."""
    found = _grouped((row.mechanism, row) for row in rows if row.mechanism)
    return [_total(found[one], one.value, str(one.label)) for one in ORDER if one.value in found]


def departments_of(rows: Iterable[SavingRow]) -> list[SavingTotal]:
    """Return the same of rows that were read."""
    found = _grouped((row.department_code, row) for row in rows if not row.mechanism)
    totals = [_total(of, code, of[0].department_name) for code, of in found.items()]
    return sorted(totals, key=lambda total: (-total.net_nanos, total.key))


def months_of(rows: Iterable[SavingRow]) -> list[MonthSaving]:
    """Return the same of rows that were read."""
    months = _grouped((row.starts_at, row) for row in rows)
    return [
        _month(month.astimezone(zone()), mechanisms_of(months[month])) for month in sorted(months)
    ]


def audit_of(rows: Iterable[SavingRow]) -> Audit:
    """Return the same of rows that were read."""
    whole = [row for row in rows if not row.mechanism]
    return Audit(
        sum(row.checked_count for row in whole),
        sum(row.claimed_nanos for row in whole),
        sum(row.real_nanos for row in whole),
    )


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


def _grouped(pairs: Iterable[tuple[Key, SavingRow]]) -> dict[Key, list[SavingRow]]:
    found: dict[Key, list[SavingRow]] = {}
    for key, row in pairs:
        found.setdefault(key, []).append(row)
    return found


def _total(rows: Sequence[SavingRow], key: str, name: str) -> SavingTotal:
    return SavingTotal(
        key=key,
        name=name,
        request_count=sum(row.request_count for row in rows),
        saved_nanos=sum(row.saved_nanos for row in rows),
        overhead_nanos=sum(row.overhead_nanos for row in rows),
        saved_ms=sum(row.saved_ms for row in rows),
    )


def _month(month: datetime, totals: Sequence[SavingTotal]) -> MonthSaving:
    name = f"{month:%Y-%m}"
    total = replace(summed(totals), key=name, name=name)
    return MonthSaving(total, {one.key: one.net_nanos for one in totals})
