"""Which month or day a page of cost is asked for, in the billing time zone."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.billing import calendar

FIRST_YEAR = 2000


class SpanError(ValueError):
    """What was asked for is no day or month that has begun."""


@dataclass(frozen=True, slots=True)
class Span:
    """A month or a day: `query` asks for it again, `month` is its month as "2026-11"."""

    starts_at: datetime
    ends_at: datetime
    query: str
    month: str
    title: str
    is_day: bool
    is_running: bool


def today(now: datetime) -> date:
    """Return the date it is in the billing time zone."""
    return now.astimezone(calendar.zone()).date()


def month_span(moment: datetime, *, now: datetime) -> Span:
    """Return the month the moment is in."""
    starts_at, ends_at = calendar.month_of(moment)
    code = f"{starts_at:%Y-%m}"
    return Span(
        starts_at=starts_at,
        ends_at=ends_at,
        query=f"month={code}",
        month=code,
        title=date_format(starts_at.date(), "F Y"),
        is_day=False,
        is_running=starts_at <= now < ends_at,
    )


def day_span(day: date, *, now: datetime) -> Span:
    """Return this day."""
    starts_at, ends_at = calendar.day_of(_begin(day))
    return Span(
        starts_at=starts_at,
        ends_at=ends_at,
        query=f"day={day.isoformat()}",
        month=f"{day:%Y-%m}",
        title=date_format(day, "j F Y"),
        is_day=True,
        is_running=starts_at <= now < ends_at,
    )


def read_span(*, month: str, day: str, now: datetime) -> Span:
    """Return the day, else the month that is named as in ISO 8601; the running month where neither is.

    Raises:
        SpanError: it is none, long ago, or has not begun.
    """
    try:
        asked = date.fromisoformat(day or f"{month}-01") if day or month else None
    except ValueError as error:
        raise SpanError(day or month) from error
    if asked is None:
        return month_span(now, now=now)
    if asked.year < FIRST_YEAR or asked > today(now):
        raise SpanError(str(asked))
    return day_span(asked, now=now) if day else month_span(_begin(asked), now=now)


def before(span: Span, *, now: datetime) -> Span:
    """Return the month before the span's."""
    return month_span(calendar.previous_month(calendar.month_of(span.starts_at)[0]), now=now)


def after(span: Span, *, now: datetime) -> Span | None:
    """Return the month after the span's; None if it has not begun."""
    starts_at = calendar.month_of(span.starts_at)[1]
    return month_span(starts_at, now=now) if starts_at <= now else None


def zone_name() -> str:
    """Return the billing time zone's name, as written on the pages."""
    return str(calendar.zone())


def ends_of_increases(now: datetime) -> list[tuple[str, datetime, str]]:
    """Return when more of a budget may end: a code, the moment, and the words; the most sensible first."""
    month_end = calendar.month_of(now)[1]
    day_end = calendar.day_of(now)[1]
    choices = [
        ("MONTH", month_end, _("until the month ends")),
        ("DAY", day_end, _("until the day ends")),
        ("WEEK", day_end + timedelta(days=7), _("for a week")),
        ("NEXT_MONTH", calendar.next_month(month_end), _("until the next month ends")),
    ]
    return [(code, moment, f"{words} ({_spoken(moment)})") for code, moment, words in choices]


def _spoken(moment: datetime) -> str:
    # An end at midnight is the end of the day before: that is how people count.
    return date_format((moment - timedelta(seconds=1)).astimezone(calendar.zone()), "j M Y, H:i")


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=calendar.zone())
