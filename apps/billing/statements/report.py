"""What a month's statements say, whether it is closed and they are frozen, or open and this is a preview."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.billing import calendar
from apps.billing.errors import BillingError
from apps.billing.models import MonthClose, Statement
from apps.billing.spans import FIRST_YEAR
from apps.billing.statements.drafting import MonthDraft, draft_month, month_code, sketch_month


class NoSuchMonthError(BillingError):
    """What was asked for is no month that has begun."""


class NoSuchDepartmentError(BillingError):
    """What was asked for is no department's code."""


@dataclass(frozen=True, slots=True)
class StatedMonth:
    """A month's statements: of all departments that owe something, or of those asked for."""

    starts_at: datetime
    ends_at: datetime
    is_closed: bool
    statements: Sequence[Statement]
    obstacles: Sequence[str] = ()

    @property
    def total_nanos(self) -> int:
        """Return what its departments owe."""
        return sum(one.total_nanos for one in self.statements)

    def of_department(self, code: str) -> "StatedMonth":
        """Return the month with the statement of one department only; it may have none."""
        chosen = [one for one in self.statements if one.department_code == code]
        return replace(self, statements=chosen)


def month_named(text: str, *, at: datetime) -> datetime:
    """Return the first moment of the month "2026-11" names.

    Raises:
        NoSuchMonthError: it is none, long ago, or has not begun.
    """
    try:
        day = datetime.strptime(text, "%Y-%m").replace(tzinfo=calendar.zone())
    except ValueError as error:
        raise NoSuchMonthError(_("“%s” is no month: write it like 2026-11.") % text) from error
    if day.year < FIRST_YEAR:
        # A slip of the pen that is closed stands for good, and every later close looks at each month since.
        raise NoSuchMonthError(_("“%s” is long before any ledger.") % text)
    if day > at:
        raise NoSuchMonthError(_("%s has not begun.") % text)
    return day


def code_among(codes: Collection[str], code: str | None) -> str | None:
    """Return a department's code if it is one of these; None: none was asked for.

    Compared here, not by the database: what comes from a command line may be no text that one takes.

    Raises:
        NoSuchDepartmentError: it is none.
    """
    if code is not None and code not in codes:
        raise NoSuchDepartmentError(_("There is no department with the code “%s”.") % code)
    return code


def stated_month(*, starts_at: datetime, at: datetime) -> StatedMonth:
    """Return the month's frozen statements, or what they would be now."""
    return _frozen(starts_at) or _drafted(draft_month(starts_at=starts_at, at=at))


def shown_month(
    *, starts_at: datetime, at: datetime, department_code: str | None = None
) -> StatedMonth:
    """Return the same for a page: of an open month what its totals say, with the lines of one department at most."""
    return _frozen(starts_at) or _drafted(
        sketch_month(starts_at=starts_at, at=at, department_code=department_code)
    )


def _frozen(starts_at: datetime) -> StatedMonth | None:
    closed = MonthClose.objects.filter(starts_at=starts_at).first()
    if closed is None:
        return None
    frozen = closed.statements.order_by("department_name", "department_code")
    return StatedMonth(starts_at, calendar.next_month(starts_at), True, list(frozen))  # noqa: FBT003


def _drafted(draft: MonthDraft) -> StatedMonth:
    by_name = sorted(draft.statements, key=lambda one: (one.department_name, one.department_code))
    return StatedMonth(draft.starts_at, draft.ends_at, False, by_name, draft.obstacles)  # noqa: FBT003


def totals(month: StatedMonth) -> Iterator[dict[str, Any]]:
    """Yield what each statement adds up to, for JSON."""
    for one in month.statements:
        yield {
            "month": month_code(month.starts_at),
            "department_code": one.department_code,
            "department_name": one.department_name,
            "is_closed": month.is_closed,
            "statement_id": str(one.pk) if month.is_closed else None,
            "usage_nanos": one.usage_nanos,
            "adjustments_nanos": one.adjustments_nanos,
            "shared_nanos": one.shared_nanos,
            "total_nanos": one.total_nanos,
        }


def is_closed(starts_at: datetime) -> bool:
    """Say whether the month is closed."""
    return MonthClose.objects.filter(starts_at=starts_at).exists()
