"""What was saved by month, department and mechanism: months that are over are summed once, the running one each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from apps.billing import calendar
from apps.billing.models import SavingMonth

# A saving is dated by the moment it is noted: what is noted now is of no month that ended this long ago.
SETTLES_AFTER = timedelta(days=1)
SUMS = (
    "request_count", "saved_nanos", "overhead_nanos", "saved_ms", "checked_count", "claimed_nanos", "real_nanos",
)  # fmt: skip
COLUMNS = f"starts_at, department_id, mechanism, {', '.join(SUMS)}"

# Of each department by mechanism and, with an empty one, in all: a request that two mechanisms served is one request.
SUMMED = """
SELECT date_trunc('month', created_at, %(zone)s) AS starts_at, department_id, coalesce(mechanism, '') AS mechanism,
    count(DISTINCT request_id) AS request_count, sum(saved_nanos)::bigint AS saved_nanos,
    sum(overhead_nanos)::bigint AS overhead_nanos, sum(saved_ms)::bigint AS saved_ms,
    count(*) FILTER (WHERE {is_checked}) AS checked_count,
    coalesce(sum(saved_nanos) FILTER (WHERE {is_checked}), 0)::bigint AS claimed_nanos,
    coalesce(sum(overhead_nanos) FILTER (WHERE {is_checked}), 0)::bigint AS real_nanos
FROM billing_saving WHERE created_at >= {since} AND created_at < {until}
    AND (%(departments)s::uuid[] IS NULL OR department_id = ANY (%(departments)s::uuid[]))
GROUP BY GROUPING SETS ((1, department_id, mechanism), (1, department_id))
"""
IS_CHECKED = "mechanism = 'SEMANTIC_CACHE' AND saved_nanos > 0 AND overhead_nanos > 0"
# Months are kept in order and without a gap: what is not kept begins where the last one ends.
KEPT_UNTIL = """
(SELECT coalesce(((max(starts_at) AT TIME ZONE %(zone)s) + interval '1 month') AT TIME ZONE %(zone)s, '-infinity')
    FROM billing_savingmonth)
"""
READ = f"""
SELECT {COLUMNS.replace("starts_at", "found.starts_at")}, department.code, department.name FROM (
    SELECT {COLUMNS} FROM billing_savingmonth WHERE starts_at >= %(first)s AND starts_at < %(last)s
        AND (%(departments)s::uuid[] IS NULL OR department_id = ANY (%(departments)s::uuid[]))
    UNION ALL ({{rest}})
    UNION ALL ({{head}})
) AS found JOIN accounts_department AS department ON department.id = department_id
"""  # noqa: S608 - constants of this file


@dataclass(frozen=True, slots=True)
class SavingRow:
    """What one mechanism saved a department in a month, or in a part of it; all of them together where it is empty.

    `checked_count`, `claimed_nanos` and `real_nanos`: the hits by meaning that were computed all the same.
    """

    starts_at: datetime
    department_id: UUID
    mechanism: str
    request_count: int
    saved_nanos: int
    overhead_nanos: int
    saved_ms: int
    checked_count: int
    claimed_nanos: int
    real_nanos: int
    department_code: str
    department_name: str


def rows(
    starts_at: datetime, ends_at: datetime, department_ids: Sequence[UUID] | None = None
) -> list[SavingRow]:
    """Return the rows of a span (one query); those of a month that is in it in part say that part."""
    month, after = calendar.month_of(starts_at)
    first = month if month == starts_at else min(after, ends_at)
    values = {
        "zone": str(calendar.zone()),
        "departments": None if department_ids is None else list(department_ids),
        "starts_at": starts_at,
        "ends_at": ends_at,
        "first": first,
        "last": max(first, calendar.month_of(ends_at)[0]),
    }
    rest = _summed(f"greatest(%(first)s, least({KEPT_UNTIL}, %(last)s))", "%(ends_at)s")
    head = _summed("%(starts_at)s", "%(first)s")
    with connection.cursor() as cursor:
        cursor.execute(READ.format(rest=rest, head=head), values)
        return [SavingRow(*row) for row in cursor.fetchall()]


def keep(*, at: datetime | None = None) -> int:
    """Sum the months that are over for good and are not kept yet; return how many rows that made."""
    until = calendar.month_of((at or timezone.now()) - SETTLES_AFTER)[0]
    return _keep(KEPT_UNTIL, "%(until)s", until=until)


def remake(*, starts_at: datetime) -> int:
    """Sum a kept month anew; return how many rows it has. One that is not kept is left alone."""
    with transaction.atomic():
        deleted, _by_model = SavingMonth.objects.filter(starts_at=starts_at).delete()
        until = calendar.next_month(starts_at)
        return _keep("%(since)s", "%(until)s", since=starts_at, until=until) if deleted else 0


def differences(*, starts_at: datetime) -> tuple[int, int]:
    """Return how many rows of a kept month are not what its savings add up to, and the nanos they are off."""
    values = {
        "zone": str(calendar.zone()),
        "departments": None,
        "since": starts_at,
        "until": calendar.next_month(starts_at),
    }
    differs = " OR ".join(f"kept.{one} IS DISTINCT FROM made.{one}" for one in SUMS)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(abs(coalesce(kept.saved_nanos, 0) - coalesce(made.saved_nanos, 0))), 0)"  # noqa: S608 - constants of this file
            " FROM (SELECT * FROM billing_savingmonth WHERE starts_at = %(since)s) AS kept"
            f" FULL JOIN ({_summed('%(since)s', '%(until)s')}) AS made USING (department_id, mechanism)"
            f" WHERE EXISTS (SELECT FROM billing_savingmonth WHERE starts_at = %(since)s) AND ({differs})",
            values,
        )
        row_count, off_nanos = cursor.fetchone()
    return int(row_count), int(off_nanos)


def _summed(since: str, until: str) -> str:
    return SUMMED.format(is_checked=IS_CHECKED, since=since, until=until)


def _keep(begin: str, end: str, **moments: datetime) -> int:
    values = {"zone": str(calendar.zone()), "departments": None, **moments}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            f"INSERT INTO billing_savingmonth ({COLUMNS}) {_summed(begin, end)} ON CONFLICT DO NOTHING",
            values,
        )
        return int(cursor.rowcount)
