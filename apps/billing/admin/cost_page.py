"""What the cost overview of the admin shows, put together once: the page and its CSV are two ways to write it down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from apps.billing import calendar
from apps.billing.admin.budget_rows import BudgetRow, rows_of
from apps.billing.costs.overview import corrections, overview
from apps.billing.costs.types import CostFilter, CostLine, CostOverview, DayCost, Dimension
from apps.billing.forecast import Forecast, month_end
from apps.billing.forms.costs import FIELD_OF, FILTERS, CostForm
from apps.billing.models import Budget
from apps.core.money import format_nanos

CALLS = "admin:billing_usagerecord_changelist"
OVERVIEW = "admin:billing_usagerecord_totals"
SHOWN = 10
SHOWN_LONG = 500
BUDGETS_SHOWN = 8
FULL = 1000

TITLES: Mapping[Dimension, Promise] = {
    Dimension.DEPARTMENT: _("Departments"),
    Dimension.MODEL: _("Models"),
    Dimension.PERSON: _("People"),
    Dimension.PURPOSE: _("Purposes"),
    Dimension.PRODUCT: _("Products"),
    Dimension.API_KEY: _("API keys"),
    Dimension.TAG: _("Tags"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One bar: a department, person, … with what it cost; `length` in thousandths of the longest.

    `calls_url` leads to its calls, `narrow_url` to this page for it alone; both empty for what no filter can name.
    """

    key: str
    name: str
    line: CostLine
    length: int
    share: str
    calls_url: str
    narrow_url: str


@dataclass(frozen=True, slots=True)
class Section:
    """The dearest of one dimension; `rest` is what the others cost together, `adds_up` whether these add up to all."""

    dimension: Dimension
    title: str
    rows: Sequence[Row]
    rest: CostLine | None
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the chart and the day it is compared with, None where the span before was shorter."""

    cost: DayCost
    before: DayCost | None
    calls_url: str
    is_ahead: bool


@dataclass(frozen=True, slots=True)
class CostPage:
    """All that is shown. `change` compares with the same part of the span before; None: nothing was spent in it."""

    title: str
    before_title: str
    compared_title: str
    total: CostLine
    before: CostLine
    before_part_nanos: int
    change: str | None
    forecast: Forecast | None
    month_end: date
    corrections_nanos: int | None
    corrections_url: str
    days: Sequence[Day]
    sections: Sequence[Section]
    budgets: Sequence[BudgetRow]
    is_running: bool
    is_month: bool


def cost_page(form: CostForm, *, at: datetime, is_long: bool = False) -> CostPage:
    """Return what the page shows of a valid question; `is_long`: many rows of each dimension, not the dearest ten."""
    asked = form.asked
    limit = SHOWN_LONG if is_long else SHOWN
    dimensions = [one for one in TITLES if not form.cleaned_data[FIELD_OF[one]]]
    now = overview(asked.cost_filter, dimensions, limit=limit)
    before_filter = _before(asked.cost_filter, is_month=asked.is_month)
    before = overview(before_filter, ())
    today = at.astimezone(calendar.zone()).date()
    days = _days(form, now.days, before.days, today=today)
    part = [day.before.amount_nanos for day in days if day.before and not day.is_ahead]
    part_nanos = sum(part) if asked.is_running else before.total.amount_nanos
    is_departments = not any(form.cleaned_data[name] for name in FILTERS if name != "department")
    return CostPage(
        title=asked.title,
        before_title=_title(before_filter, is_month=asked.is_month),
        compared_title=_compared(before_filter, asked.is_running, asked.is_month, len(part)),
        total=now.total,
        before=before.total,
        before_part_nanos=part_nanos,
        change=_change(now.total.amount_nanos, part_nanos),
        forecast=_forecast(form, at=at) if is_departments else None,
        month_end=_last_day(asked.cost_filter),
        corrections_nanos=corrections(asked.cost_filter) if is_departments else None,
        corrections_url=_corrections_url(asked.cost_filter),
        days=days,
        sections=[_section(form, one, now) for one in dimensions],
        budgets=_budgets(form, at=at),
        is_running=asked.is_running,
        is_month=asked.is_month,
    )


def _before(asked: CostFilter, *, is_month: bool) -> CostFilter:
    """Return the same question of the month before, or of as many days before."""
    if is_month:
        starts_at = calendar.previous_month(asked.starts_at)
    else:
        first, end = (_local_day(moment) for moment in (asked.starts_at, asked.ends_at))
        starts_at = asked.starts_at.astimezone(calendar.zone()) - (end - first)
    return replace(asked, starts_at=starts_at, ends_at=asked.starts_at)


def _local_day(moment: datetime) -> date:
    return moment.astimezone(calendar.zone()).date()


def _last_day(asked: CostFilter) -> date:
    return _local_day(asked.ends_at) - timedelta(days=1)


def _title(asked: CostFilter, *, is_month: bool) -> str:
    first, last = _local_day(asked.starts_at), _last_day(asked)
    if is_month:
        return date_format(first, "F Y")
    if first == last:
        return date_format(first, "j F Y")
    return f"{date_format(first, 'j F')} – {date_format(last, 'j F Y')}"


def _compared(asked: CostFilter, is_running: bool, is_month: bool, day_count: int) -> str:  # noqa: FBT001 - private
    """Return the name of that part of the span before that the running one is compared with."""
    if not is_running or not day_count:
        return _title(asked, is_month=is_month)
    first = _local_day(asked.starts_at)
    last = first + timedelta(days=day_count - 1)
    return f"{date_format(first, 'j')}–{date_format(last, 'j F')}"


def _change(nanos: int, before_nanos: int) -> str | None:
    if before_nanos <= 0:
        return None
    percent = round(Decimal(nanos - before_nanos) * 100 / before_nanos)
    return f"{percent:+d} %".replace("-", "−")


def _forecast(form: CostForm, *, at: datetime) -> Forecast | None:
    """Return where the running month is heading; None for any other span."""
    asked = form.asked
    if not (asked.is_month and asked.is_running):
        return None
    department = form.cleaned_data["department"]
    return month_end(department_id=department.pk if department else None, at=at)


def _days(
    form: CostForm, days: Sequence[DayCost], before: Sequence[DayCost], *, today: date
) -> list[Day]:
    calls = reverse(CALLS)
    return [
        Day(
            cost=one,
            before=before[at] if at < len(before) else None,
            calls_url=f"{calls}?{form.query(month='', **{'from': one.day.isoformat(), 'to': one.day.isoformat()})}",
            is_ahead=one.day > today,
        )
        for at, one in enumerate(days)
    ]


def _section(form: CostForm, dimension: Dimension, shown: CostOverview) -> Section:
    lines = shown.lines[dimension]
    # A call can carry several tags, and counts for each.
    adds_up = dimension != Dimension.TAG
    return Section(
        dimension=dimension,
        title=str(TITLES[dimension]),
        rows=[_row(form, dimension, line, lines[0].amount_nanos, shown.total) for line in lines],
        rest=_rest(shown.total, lines) if adds_up else None,
        adds_up=adds_up,
    )


def _row(form: CostForm, dimension: Dimension, line: CostLine, most: int, total: CostLine) -> Row:
    query = form.query(**{FIELD_OF[dimension]: line.key}) if line.key else ""
    return Row(
        key=line.key,
        name=line.name,
        line=line,
        length=max(4, line.amount_nanos * FULL // most) if most and line.amount_nanos else 0,
        share=_share(line.amount_nanos, total.amount_nanos),
        calls_url=f"{reverse(CALLS)}?{query}" if query else "",
        narrow_url=f"?{query}" if query else "",
    )


def _share(nanos: int, total_nanos: int) -> str:
    if not total_nanos:
        return "–"
    percent = Decimal(nanos) * 100 / total_nanos
    return f"{percent:.0f} %" if percent >= 1 or not nanos else "< 1 %"


def _rest(total: CostLine, lines: Sequence[CostLine]) -> CostLine | None:
    """Return what is in the total and in none of the lines."""
    count = total.call_count - sum(line.call_count for line in lines)
    if not count:
        return None
    return CostLine(
        key="",
        name=_t("All others"),
        call_count=count,
        input_tokens=total.input_tokens - sum(line.input_tokens for line in lines),
        cached_input_tokens=total.cached_input_tokens
        - sum(line.cached_input_tokens for line in lines),
        output_tokens=total.output_tokens - sum(line.output_tokens for line in lines),
        amount_nanos=total.amount_nanos - sum(line.amount_nanos for line in lines),
    )


def _budgets(form: CostForm, *, at: datetime) -> list[BudgetRow]:
    """Return the budgets of whole departments, those nearest to their limits first; a person's or key's when asked for."""
    data = form.cleaned_data
    budgets = Budget.objects.filter(is_enabled=True)
    if data["department"]:
        budgets = budgets.filter(Q(department=data["department"]) | Q(department__isnull=True))
    budgets = budgets.filter(
        Q(user__isnull=True) | Q(user=data["person"]),
        Q(api_key__isnull=True) | Q(api_key=data["key"]),
    )
    return rows_of(budgets, at=at)[:BUDGETS_SHOWN]


def _corrections_url(asked: CostFilter) -> str:
    query = "kind__in=TRUE_UP,CORRECTION"
    for department_id in asked.department_ids or ():
        query += f"&department__id__exact={department_id}"
    return f"{reverse('admin:billing_ledgerentry_changelist')}?{query}"


def chart(page: CostPage) -> dict[str, Any]:
    """Return the days for the chart's script: heights in millionths of the currency, and each amount as it is read."""
    return {
        "days": [day.cost.day.isoformat() for day in page.days],
        "amounts": [None if day.is_ahead else day.cost.amount_nanos // 1000 for day in page.days],
        "before": [day.before.amount_nanos // 1000 if day.before else None for day in page.days],
        "read": [format_nanos(day.cost.amount_nanos) for day in page.days],
        "readBefore": [
            format_nanos(day.before.amount_nanos) if day.before else "–" for day in page.days
        ],
        "calls": [day.cost.call_count for day in page.days],
        "links": [day.calls_url for day in page.days],
    }
