"""The single calls behind a figure, newest first, a page at a time."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from apps.billing import calendar
from apps.billing.costs.sources import conditions, parameters
from apps.billing.costs.types import CostFilter
from apps.billing.models import Reservation, UsageRecord

_PAIR = (
    " AND department_id = pairs.department_id"
    " AND created_at >= pairs.starts_at AND created_at < pairs.starts_at + interval '1 hour'"
)


def calls(cost_filter: CostFilter, *, before: UUID | None, count: int = 50) -> list[UsageRecord]:
    """Return the newest calls of the filter, with their department, person and key (two queries).

    `before` is the last call of the page before; a call there is none of has nothing before it.
    """
    until = cost_filter.ends_at
    if before is not None:
        opened_at = Reservation.objects.filter(pk=before).values_list("created_at", flat=True)
        until = min(until, next(iter(opened_at), cost_filter.starts_at))
    zone = calendar.zone()
    values = {
        **parameters(cost_filter),
        "zone": str(zone),
        "starts_at": cost_filter.starts_at,
        "ends_at": cost_filter.ends_at,
        "until": until,
        "first": _hour_of(cost_filter.starts_at, zone),
        "hour": _hour_of(until, zone),
        "before": before,
        "count": count,
    }
    find = _of_person if cost_filter.user_id is not None else _by_hour
    with connection.cursor() as cursor:
        cursor.execute(find(cost_filter), values)
        found: list[tuple[UUID, datetime]] = cursor.fetchall()
    if not found:
        return []
    records = UsageRecord.objects.between(found[-1][1], found[0][1] + timedelta(microseconds=1))
    by_id = records.filter(pk__in=[pk for pk, _ in found]).select_related(
        "department", "user", "api_key"
    )
    return sorted(by_id, key=lambda record: (record.created_at, record.pk), reverse=True)


def _hour_of(moment: datetime, zone: ZoneInfo) -> datetime:
    # Whole hours of the zone's clock, as the totals have them: not of UTC where the two differ by a part of one.
    local = moment.astimezone(zone)
    return local.replace(minute=0, second=0, microsecond=0)


def _page(cost_filter: CostFilter, more: str = "") -> str:
    where = "".join(f" AND {one}" for one in conditions(cost_filter))
    return (
        "SELECT id, created_at FROM billing_usagerecord"  # noqa: S608 - conditions are literals
        " WHERE created_at >= %(starts_at)s AND created_at < %(ends_at)s AND created_at <= %(until)s"
        f" AND (created_at, id) < (%(until)s, coalesce(%(before)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))"
        f"{more}{where}"
    )


def _of_person(cost_filter: CostFilter) -> str:
    """Return the query for one person: an index leads to their calls."""
    return f"{_page(cost_filter)} ORDER BY created_at DESC, id DESC LIMIT %(count)s"


def _by_hour(cost_filter: CostFilter) -> str:
    """Return the query for anything else: the totals tell in which hours and departments there are such calls.

    Each pair of them has at least one, so as many pairs as calls are asked for are enough, besides those of the hour
    the page begins in and of the calls that are not in the totals yet.
    """
    where = "".join(f" AND {one}" for one in conditions(cost_filter))
    return (
        f"WITH spans AS MATERIALIZED ({_spans(cost_filter)}),"  # noqa: S608 - as above
        f" hours AS MATERIALIZED ({_hours(cost_filter)}),"
        " pairs AS MATERIALIZED ("
        "(SELECT * FROM hours WHERE starts_at < %(hour)s ORDER BY starts_at DESC FETCH FIRST %(count)s ROWS WITH TIES)"
        " UNION (SELECT * FROM hours WHERE starts_at = %(hour)s)"
        " UNION SELECT date_trunc('hour', created_at, %(zone)s), department_id FROM billing_reservation"
        " WHERE state = 'SETTLED' AND NOT is_rolled_up"
        f" AND created_at >= %(starts_at)s AND created_at <= %(until)s{where})"
        " SELECT call.id, call.created_at FROM pairs CROSS JOIN LATERAL ("
        f"{_page(cost_filter, _PAIR)} OFFSET 0) AS call"
        " ORDER BY call.created_at DESC, call.id DESC LIMIT %(count)s"
    )


def _is_of_few(cost_filter: CostFilter) -> bool:
    return cost_filter.department_ids is not None or cost_filter.api_key_id is not None


def _spans(cost_filter: CostFilter) -> str:
    """Return the query of the newest days, or months and departments, that have enough such calls for a page.

    Of the one the page begins in, some of its calls may come after: none of them is counted on.
    """
    unit, table, key = "day", "billing_organisationcost", "starts_at"
    if _is_of_few(cost_filter):
        unit, table, key = "month", "billing_monthlycost", "starts_at, department_id"
    where = "".join(f" AND {one}" for one in conditions(cost_filter))
    return (
        f"SELECT {key}, ((starts_at AT TIME ZONE %(zone)s) + interval '1 {unit}') AT TIME ZONE %(zone)s AS ends_at"  # noqa: S608 - as above
        f" FROM (SELECT {key}, coalesce(sum(sum(call_count))"
        f" FILTER (WHERE starts_at < date_trunc('{unit}', %(hour)s, %(zone)s))"
        " OVER (ORDER BY starts_at DESC RANGE UNBOUNDED PRECEDING EXCLUDE GROUP), 0) AS newer_count"
        f" FROM {table} WHERE starts_at >= date_trunc('{unit}', %(first)s, %(zone)s)"
        f" AND starts_at <= %(hour)s{where} GROUP BY {key}) AS counted WHERE newer_count < %(count)s"
    )


def _hours(cost_filter: CostFilter) -> str:
    """Return the query of the hours and departments with such calls, within these days or months."""
    where = "".join(f" AND {one}" for one in conditions(cost_filter))
    if _is_of_few(cost_filter):
        where += " AND department_id = spans.department_id"
    # Not flattened (OFFSET 0): an index leads to the hours of each, whatever is estimated.
    return (
        "SELECT DISTINCT hour.starts_at, hour.department_id FROM spans CROSS JOIN LATERAL ("  # noqa: S608 - as above
        "SELECT starts_at, department_id FROM billing_hourlycost"
        " WHERE starts_at >= greatest(spans.starts_at, %(first)s)"
        f" AND starts_at < spans.ends_at AND starts_at <= %(hour)s{where} OFFSET 0) AS hour"
    )
