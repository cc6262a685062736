"""The days of the access log and of the figures by minute: made ahead, dropped whole when their time is over."""

from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction

from apps.caching.access_models import ProcessReport
from apps.caching.parameters import LOG_DAYS, MINUTE_DAYS
from apps.tuning import live

DAYS_AHEAD = 3
TABLES = (
    ("caching_accesslog", "at", LOG_DAYS.name),
    ("caching_accessminute", "minute", MINUTE_DAYS.name),
)
# Readers of the figures and writers of the log wait behind a change of tables, so the change does not wait long itself.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '3s'"
REPORT_HOURS = 1


def keep(*, at: datetime | None = None) -> tuple[int, int]:
    """Make today's and the coming days' partitions, drop the days past their retention; return how many of each.

    Raises:
        django.db.Error: a table was in use for longer than the lock is waited for; the next round tries again.
    """
    now = at or datetime.now(UTC)
    made = dropped = 0
    for table, column, days_parameter in TABLES:
        made += _make(table, column, now)
        dropped += _drop(table, column, now - timedelta(days=live.integer(days_parameter) - 1))
    ProcessReport.objects.filter(reported_at__lt=now - timedelta(hours=REPORT_HOURS)).delete()
    return made, dropped


def _make(table: str, column: str, first_day: datetime) -> int:
    made = 0
    for ahead in range(DAYS_AHEAD + 1):
        made += _call(
            "SELECT caching_make_partition_v1(%s, %s, %s)::integer",
            (table, column, (first_day + timedelta(days=ahead)).date()),
        )
    return made


def _drop(table: str, column: str, first_kept_day: datetime) -> int:
    return _call(
        "SELECT caching_drop_partitions_v1(%s, %s, %s)", (table, column, first_kept_day.date())
    )


def _call(sql: str, values: tuple[str, str, date]) -> int:
    # One short transaction each: an hour's round holds no lock over another's work.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK_TIMEOUT)
        cursor.execute(sql, values)
        return int(cursor.fetchone()[0])
