"""Hourly cost as arrays, read from the totals: one number an hour, in a row, 0 where nothing was spent."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from django.db import connection

from apps.billing.anomalies.profile import Costs
from apps.billing.calendar import zone

HOUR = timedelta(hours=1)

# Hours and sums in arrays: a hundred thousand rows would take seconds to become numbers.
WITHIN = """
FROM billing_departmenthourcost
WHERE starts_at >= %(since)s AND starts_at < %(until)s
    AND (%(departments)s::uuid[] IS NULL OR department_id = ANY (%(departments)s::uuid[]))
"""
HOUR_OF = "(extract(epoch FROM starts_at - %(since)s) / 3600)::integer"
BY_DEPARTMENT = (
    f"SELECT department_id, array_agg({HOUR_OF}), array_agg(amount_nanos) {WITHIN} GROUP BY 1"
)
TOTAL = f"""
SELECT coalesce(array_agg({HOUR_OF}), '{{}}'), coalesce(array_agg(nanos), '{{}}')
FROM (SELECT starts_at, sum(amount_nanos)::bigint AS nanos {WITHIN} GROUP BY 1) AS hours
"""  # noqa: S608 - as above


def hour_of(moment: datetime) -> datetime:
    """Return where the moment's hour begins by the billing time zone's clock, as the totals count; in UTC."""
    local = moment.astimezone(zone()).replace(minute=0, second=0, microsecond=0)
    return local.astimezone(UTC)


def total(
    *, since: datetime, until: datetime, department_ids: Collection[UUID] | None = None
) -> Costs:
    """Return the hours from `since` up to, without, `until`, in nanos, of these departments together (None: of all)."""
    departments = None if department_ids is None else list(department_ids)
    with connection.cursor() as cursor:
        cursor.execute(TOTAL, {"since": since, "until": until, "departments": departments})
        [hours, nanos] = cursor.fetchone()
    costs = np.zeros((until - since) // HOUR)
    costs[hours] = nanos
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
