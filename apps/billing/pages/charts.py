"""The geometry of the cost charts: bars of days on an axis from zero, and the parts of a budget's bar. All in integers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.money import format_nanos

FULL = 1000  # lengths are thousandths of the whole bar
# The first digits an axis may end at: each can be halved and read.
AXIS_ENDS = (1, 2, 4, 6, 8, 10)
LEAST = 8  # The least thing spent is still seen.
WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Day:
    """One day's bar; `before_*` is the same day of the month before, None where there was none; `says` is its read-out."""

    day: date
    amount_nanos: int
    call_count: int
    height: int
    before_nanos: int | None
    before_height: int | None
    url: str
    says: str
    is_ahead: bool

    @property
    def is_labelled(self) -> bool:
        """Say whether the day stands below the axis: the first of each week of the month."""
        return self.day.day % WEEK_DAYS == 1

    @property
    def top(self) -> int:
        """Where the bar begins, from above."""
        return FULL - self.height

    @property
    def before_top(self) -> int:
        """Where the mark of the month before is, from above."""
        return FULL - (self.before_height or 0)


@dataclass(frozen=True, slots=True)
class DayChart:
    """Days of one month; `top_nanos` is where the axis ends."""

    days: Sequence[Day]
    top_nanos: int
    half_nanos: int


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """Lengths of a budget's parts in thousandths; `soft` is where its soft limit is marked."""

    spent: int
    held: int
    soft: int | None


def axis_end(nanos: int) -> int:
    """Return where an axis from zero ends that holds this amount, at a number fit to be read; 0 for 0."""
    if nanos <= 0:
        return 0
    unit: int = 10 ** (len(str(nanos)) - 1)
    return next(first * unit for first in AXIS_ENDS if first * unit >= nanos)


def day_chart(
    amounts: Sequence[tuple[date, int, int]],
    *,
    before: Mapping[int, int],
    today: date,
    urls: Mapping[date, str],
) -> DayChart:
    """Return the chart of (day, calls, nanos); `before` is nanos by day of the month before."""
    highest = max([nanos for _day, _count, nanos in amounts] + list(before.values()), default=0)
    top = axis_end(highest)

    def height(nanos: int) -> int:
        return max(LEAST, nanos * FULL // top) if nanos else 0

    days = []
    for day, call_count, nanos in amounts:
        then = before.get(day.day)
        days.append(
            Day(
                day=day,
                amount_nanos=nanos,
                call_count=call_count,
                height=height(nanos),
                before_nanos=then,
                before_height=None if then is None else height(then),
                url=urls.get(day, "") if call_count else "",
                says=_says(day, call_count, nanos, then),
                is_ahead=day > today,
            )
        )
    return DayChart(days, top, top // 2)


def _says(day: date, call_count: int, nanos: int, before: int | None) -> str:
    calls = ngettext("%(count)d call", "%(count)d calls", call_count) % {"count": call_count}
    said = _("%(day)s: %(nanos)s, %(calls)s") % {
        "day": date_format(day, "j F"),
        "nanos": format_nanos(nanos),
        "calls": calls,
    }
    if before is None:
        return said
    return _("%(said)s; the month before %(nanos)s") % {"said": said, "nanos": format_nanos(before)}


def budget_bar(
    *, limit_nanos: int, soft_limit_nanos: int | None, spent_nanos: int, reserved_nanos: int
) -> BudgetBar:
    """Return the bar of a budget; what is over the limit fills it."""
    if limit_nanos <= 0:
        return BudgetBar(FULL if spent_nanos or reserved_nanos else 0, 0, None)
    spent = min(FULL, spent_nanos * FULL // limit_nanos)
    held = min(FULL - spent, reserved_nanos * FULL // limit_nanos)
    has_soft = soft_limit_nanos is not None and soft_limit_nanos < limit_nanos
    soft = (soft_limit_nanos or 0) * FULL // limit_nanos if has_soft else None
    return BudgetBar(spent, held, soft)
