"""Hourly cost as arrays, read from the totals: one number an hour, in a row, 0 where nothing was spent."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import connection

from apps.billing.anomalies.profile import Costs
from apps.billing.calendar import zone

HOUR = timedelta(hours=1)

# A row a department, its hours and their sums in arrays: a hundred thousand rows would take seconds to become numbers.
BY_DEPARTMENT = """
SELECT department_id, array_agg(hour), array_agg(nanos) FROM (
    SELECT department_id, (extract(epoch FROM starts_at - %(since)s) / 3600)::integer AS hour,
        sum(amount_nanos)::bigint AS nanos
    FROM billing_hourlycost
    WHERE starts_at >= %(since)s AND starts_at < %(until)s
        AND (%(departments)s::uuid[] IS NULL OR department_id = ANY (%(departments)s::uuid[]))
    GROUP BY 1, 2
) AS hours GROUP BY 1
"""


def hour_of(moment: datetime) -> datetime:
    """Return where the moment's hour begins by the billing time zone's clock, as the totals count; in UTC."""
    local = moment.astimezone(zone()).replace(minute=0, second=0, microsecond=0)
    return local.astimezone(UTC)


def total(
    *, since: datetime, until: datetime, department_ids: Collection[UUID] | None = None
) -> Costs:
    """Return the hours from `since` up to, without, `until`, in nanos, of these departments together (None: of all)."""
    costs = np.zeros((until - since) // HOUR)
    for hours in by_department(since=since, until=until, department_ids=department_ids).values():
        costs += hours
    return costs


def by_department(
    *, since: datetime, until: datetime, department_ids: Collection[UUID] | None = None
) -> dict[UUID, Costs]:
    """Return the same for each department with any call in that time; one query."""
    departments = None if department_ids is None else list(department_ids)
    with connection.cursor() as cursor:
        cursor.execute(BY_DEPARTMENT, {"since": since, "until": until, "departments": departments})
        rows = cursor.fetchall()
    costs: dict[UUID, Costs] = {}
    for department_id, hours, nanos in rows:
        costs[department_id] = np.zeros((until - since) // HOUR)
        costs[department_id][hours] = nanos
    return costs
