"""A month's statements as they would be if it closed now, and what stands in the way; writes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Department
from apps.billing import calendar
from apps.billing.models import LedgerEntry, MonthClose, SharedCost, Statement
from apps.billing.statements import figures
from apps.billing.statements.allocation import AllocationError, SharedPart, spread
from apps.billing.statements.figures import MonthFigures, Owed


@dataclass(frozen=True, slots=True)
class MonthDraft:
    """A month as it stands: `statements` are unsaved; with `obstacles`, texts for people, it can't close."""

    starts_at: datetime
    ends_at: datetime
    statements: Sequence[Statement]
    obstacles: Sequence[str]

    @property
    def total_nanos(self) -> int:
        """Return what all departments owe."""
        return sum(statement.total_nanos for statement in self.statements)


def month_title(starts_at: datetime) -> str:
    """Return the month as people say it, "November 2026"."""
    return date_format(_first_day(starts_at), "F Y")


def month_code(starts_at: datetime) -> str:
    """Return the month as it is asked for, "2026-11"."""
    return f"{_first_day(starts_at):%Y-%m}"


def draft_month(*, starts_at: datetime, at: datetime) -> MonthDraft:
    """Return the month as it would be closed now, read from usage records and ledger in one snapshot."""
    ends_at = calendar.next_month(starts_at)
    with figures.snapshot():
        found = figures.read(starts_at, ends_at)
        departments = list(Department.objects.order_by("code"))
        return _draft(starts_at, at, found, departments, _differences(found, departments))


def sketch_month(
    *, starts_at: datetime, at: datetime, department_code: str | None = None
) -> MonthDraft:
    """Return the month as its totals have it, to be looked at: quick, but not proved against the ledger.

    Statements have their sums, and only that of `department_code` its lines.
    """
    ends_at = calendar.next_month(starts_at)
    with figures.snapshot():
        departments = list(Department.objects.order_by("code"))
        detailed = next((one.pk for one in departments if one.code == department_code), None)
        found = figures.sketch(starts_at, ends_at, detailed_id=detailed)
        return _draft(starts_at, at, found, departments, ())


def _draft(
    starts_at: datetime,
    at: datetime,
    found: MonthFigures,
    departments: Sequence[Department],
    differences: Iterable[str],
) -> MonthDraft:
    ends_at = calendar.next_month(starts_at)
    obstacles = [
        *_time_obstacles(starts_at, ends_at, at),
        *_earlier_obstacles(starts_at),
        *differences,
    ]
    parts: list[SharedPart] = []
    try:
        parts = _shared_parts(starts_at, departments, found)
    except AllocationError as error:
        obstacles.append(str(error))
    month = MonthClose(starts_at=starts_at, ends_at=ends_at)
    statements = (_statement(month, one, found, parts) for one in departments)
    return MonthDraft(
        starts_at, ends_at, [one for one in statements if _says_something(one)], obstacles
    )


def active_shared_costs(starts_at: datetime) -> list[SharedCost]:
    """Return the shared costs that count in the month."""
    first, after = _first_day(starts_at), _first_day(calendar.next_month(starts_at))
    active = SharedCost.objects.filter(
        Q(ends_on__isnull=True) | Q(ends_on__gte=first), starts_on__lt=after
    )
    return list(active.select_related("source_department"))


def _first_day(starts_at: datetime) -> date:
    return starts_at.astimezone(calendar.zone()).date()


# What stands in the way


def _time_obstacles(starts_at: datetime, ends_at: datetime, at: datetime) -> list[str]:
    if at < ends_at:
        told = {"month": month_title(starts_at), "day": date_format(_first_day(ends_at), "j F Y")}
        return [_("%(month)s is not over: it can close from %(day)s on.") % told]
    calls = figures.open_calls(starts_at, ends_at)
    count = calls.count()
    if not count:
        return []
    last = calls.latest("expires_at").expires_at.astimezone(calendar.zone())
    text = ngettext(
        "%(count)d call opened in the month has not ended. Wait until %(moment)s, when it is settled at an estimate, "
        "or run billing_release_stale.",
        "%(count)d calls opened in the month have not ended. Wait until %(moment)s, when all are settled, those lost "
        "at an estimate, or run billing_release_stale.",
        count,
    )
    return [text % {"count": count, "moment": date_format(last, "j F Y, H:i T")}]


def _earlier_obstacles(starts_at: datetime) -> list[str]:
    """Name the first month before this one that has cost and is open: months close in order."""
    earlier = first_open_month()
    while earlier is not None and earlier < starts_at:
        if has_cost(earlier):
            return [
                _("%(month)s has cost and is open: close it first.")
                % {"month": month_title(earlier)}
            ]
        earlier = calendar.next_month(earlier)
    return []


def has_cost(starts_at: datetime) -> bool:
    """Say whether anybody owes anything for the month: for calls, adjustments or shared costs."""
    is_used = figures.has_cost(starts_at, calendar.next_month(starts_at))
    return is_used or any(cost.amount_nanos for cost in active_shared_costs(starts_at))


def first_open_month() -> datetime | None:
    """Return the first month that is not closed: after the last closed one, else the ledger's first; None: no ledger."""
    last = MonthClose.objects.order_by("-starts_at").first()
    if last:
        return calendar.month_of(last.ends_at)[0]
    entry = LedgerEntry.objects.order_by("booked_at").first()
    return calendar.month_of(entry.booked_at)[0] if entry else None


def _differences(found: MonthFigures, departments: Iterable[Department]) -> list[str]:
    """Compare, department by department, what usage records and entries add up to with what the ledger says."""
    texts = []
    for one in departments:
        owed = found.owed.get(one.pk, Owed())
        adjusted = sum(entry.effect_nanos for entry in found.adjustments.get(one.pk, ()))
        pairs = (
            (_("usage records"), found.usage_nanos(one.pk), owed.usage_nanos),
            (_("adjustments"), adjusted, owed.adjustments_nanos),
        )
        texts += [
            _(
                "%(department)s: %(what)s add up to %(sum)d nanos, the ledger says %(owed)d. Run billing_reconcile."
            )
            % {"department": one, "what": what, "sum": summed, "owed": booked}
            for what, summed, booked in pairs
            if summed != booked
        ]
        if owed.misdirected_count:
            texts.append(_misdirected(one, owed.misdirected_count))
    return texts


def _misdirected(department: Department, count: int) -> str:
    text = ngettext(
        "%(department)s: %(count)d ledger entry is with another department's account. Run billing_reconcile.",
        "%(department)s: %(count)d ledger entries are with other departments' accounts. Run billing_reconcile.",
        count,
    )
    return text % {"department": department, "count": count}


# What a statement says


def _shared_parts(
    starts_at: datetime, departments: Sequence[Department], found: MonthFigures
) -> list[SharedPart]:
    usage = {one.pk: found.usage_nanos(one.pk) for one in departments}
    adjusted = {
        one.pk: sum(entry.effect_nanos for entry in found.adjustments.get(one.pk, ()))
        for one in departments
    }
    own = {key: usage[key] + adjusted[key] for key in usage}
    return spread(
        active_shared_costs(starts_at), departments=departments, usage_nanos=usage, own_nanos=own
    )


def _statement(
    month: MonthClose, department: Department, found: MonthFigures, parts: Iterable[SharedPart]
) -> Statement:
    lines = found.lines.get(department.pk, [])
    adjustment_lines = _adjustment_lines(found.adjustments.get(department.pk, ()))
    shared = [_shared_line(part) for part in parts if part.department_id == department.pk]
    usage_nanos, adjustments_nanos, shared_nanos = (
        sum(line["amount_nanos"] for line in group) for group in (lines, adjustment_lines, shared)
    )
    return Statement(
        month=month,
        department=department,
        department_code=department.code,
        department_name=department.name,
        currency=settings.BILLING_CURRENCY,
        lines=lines,
        adjustments=adjustment_lines,
        shared=shared,
        usage_nanos=usage_nanos,
        adjustments_nanos=adjustments_nanos,
        shared_nanos=shared_nanos,
        total_nanos=usage_nanos + adjustments_nanos + shared_nanos,
    )


def _says_something(statement: Statement) -> bool:
    return bool(statement.lines or statement.adjustments or statement.shared)


def _adjustment_lines(entries: Iterable[LedgerEntry]) -> list[dict[str, Any]]:
    """Return a line for each correction, and one for all usage that came after its estimate."""
    lines: list[dict[str, Any]] = []
    late: dict[str, Any] = {
        "kind": LedgerEntry.Kind.TRUE_UP.value,
        "entry_count": 0,
        "amount_nanos": 0,
    }
    for entry in entries:
        nanos = entry.effect_nanos
        if entry.kind == LedgerEntry.Kind.TRUE_UP:
            late["entry_count"] += 1
            late["amount_nanos"] += nanos
            continue
        call_id: UUID | None = entry.reservation_id
        lines.append(
            {
                "kind": entry.kind,
                "entry_count": 1,
                "entry_id": str(entry.pk),
                "booked_at": entry.booked_at.isoformat(),
                "call_id": str(call_id) if call_id else None,
                "reason": entry.reason,
                "author": str(entry.author) if entry.author else "",
                "amount_nanos": nanos,
            }
        )
    return [*lines, late] if late["entry_count"] else lines


def _shared_line(part: SharedPart) -> dict[str, Any]:
    source = part.cost.source_department
    return {
        "name": part.cost.name,
        "method": part.cost.method,
        "source_code": source.code if source else "",
        "source_name": source.name if source else "",
        "is_source": part.share < 0,
        "cost_nanos": part.cost_nanos,
        # To a hundredth of a percent, for people; the amount is what counts.
        "share_percent": f"{abs(round(float(part.share) * 100, 2)):.2f}",
        "amount_nanos": part.amount_nanos,
    }


def months_to_close(at: datetime) -> list[datetime]:
    """Return the months that are over, have cost and are open, the first first."""
    months = []
    starts_at = first_open_month()
    while starts_at is not None and calendar.next_month(starts_at) <= at:
        if has_cost(starts_at):
            months.append(starts_at)
        starts_at = calendar.next_month(starts_at)
    return months
