"""Days and months as money counts them: in the one billing time zone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings


def zone() -> ZoneInfo:
    """Return the billing time zone; `book.open_book` sees to it that the ledger is kept in the same."""
    return ZoneInfo(settings.BILLING_TIME_ZONE)


def month_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return where the moment's month starts and the next one does."""
    starts_at = _midnight(moment).replace(day=1)
    return starts_at, next_month(starts_at)


def day_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return where the moment's day starts and the next one does; a day can have 23 or 25 hours."""
    starts_at = _midnight(moment)
    return starts_at, starts_at + timedelta(days=1)


def week_of(moment: datetime) -> tuple[datetime, datetime]:
    """Return the same of the moment's week, which begins on Monday; a month's first and last are cut to its own days."""
    midnight = _midnight(moment)
    monday = midnight - timedelta(days=midnight.weekday())
    month, after = month_of(moment)
    return max(monday, month), min(monday + timedelta(days=7), after)


def next_month(starts_at: datetime) -> datetime:
    """Return the first moment of the month after this one's."""
    local = starts_at.astimezone(zone())
    years, month = divmod(local.month, 12)
    return local.replace(year=local.year + years, month=month + 1)


def previous_month(starts_at: datetime) -> datetime:
    """Return the first moment of the month before this one's."""
    local = starts_at.astimezone(zone())
    years, month = divmod(local.month - 2, 12)
    return local.replace(year=local.year + years, month=month + 1)


def _midnight(moment: datetime) -> datetime:
    # Arithmetic on aware values of one zone is on its wall clock, so a day later is the next midnight, whatever the clocks do.
    return moment.astimezone(zone()).replace(hour=0, minute=0, second=0, microsecond=0)
