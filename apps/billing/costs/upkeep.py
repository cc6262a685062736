"""The monthly tables of usage records: made ahead, and removed where an operator wants the calls of old months gone."""

import logging
from datetime import UTC, datetime

from django.db import connection, transaction
from django.utils import timezone

from apps.billing import calendar
from apps.billing.costs import rollups
from apps.billing.models import MonthClose, MonthlyCost, Reservation, UsageRecord
from apps.tuning import live

logger = logging.getLogger(__name__)

MONTHS_AHEAD = 3
TABLE = "billing_usagerecord"
# Dropping a partition stops all calls while it waits for its locks: rather try again the next day.
LOCK_TIMEOUT = "2s"


def make_partitions(*, at: datetime | None = None) -> int:
    """Make the tables of this month's usage records and of the next three; return how many were missing."""
    first = (at or timezone.now()).astimezone(UTC).date().replace(day=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE billing_make_partition_v1((%s + ahead * interval '1 month')::date))"
            " FROM generate_series(0, %s) AS ahead",
            (first, MONTHS_AHEAD),
        )
        [made_count] = cursor.fetchone()
    return int(made_count)


def partitions() -> list[datetime]:
    """Return where each monthly table begins, the oldest first; they are of months of UTC."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid"
            " WHERE inhparent = %s::regclass AND child.relname <> %s ORDER BY 1",
            (TABLE, f"{TABLE}_default"),
        )
        names = [name for (name,) in cursor.fetchall()]
    return [
        datetime.strptime(name.removeprefix(f"{TABLE}_"), "%Y_%m").replace(tzinfo=UTC)
        for name in names
    ]


def months_with_cost() -> list[datetime]:
    """Return where each month of the billing time zone starts that has calls or totals, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT date_trunc('day', created_at) FROM {TABLE}_default")  # noqa: S608 - a constant
        moments = {moment for (moment,) in cursor.fetchall()}
    moments |= {*MonthlyCost.objects.values_list("starts_at", flat=True).distinct()}
    months = {calendar.month_of(moment)[0] for moment in moments}
    for starts_at in partitions():
        months |= {month for month, _ in _months_of(starts_at) if _has_calls(month)}
    return sorted(months)


def remove_detail(*, at: datetime | None = None) -> list[datetime]:
    """Drop the calls of months older than the retention; return the monthly tables dropped, by where they began.

    Only of months that are closed and whose totals are what their calls add up to; any other is left and logged.
    Totals, statements and ledger entries stay, and so do reservations, which keep calls from being made twice.
    """
    months = live.integer("billing.detail_retention_months")
    if not months:
        return []
    oldest_kept = calendar.month_of(at or timezone.now())[0]
    for _ in range(months):
        oldest_kept = calendar.previous_month(oldest_kept)
    return [
        starts_at
        for starts_at in partitions()
        if all(ends_at <= oldest_kept for _, ends_at in _months_of(starts_at))
        and _remove(starts_at)
    ]


def _remove(starts_at: datetime) -> bool:
    months = _months_of(starts_at)
    closed = MonthClose.objects.filter(starts_at__in=[month for month, _ in months]).count()
    if closed < len(months):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('billing_totals'))")
        if not all(_may_go(month, ends_at) for month, ends_at in months):
            logger.error(
                "the totals of a closed month differ: its calls stay",
                extra={"month": str(starts_at)},
            )
            return False
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute(f"DROP TABLE {TABLE}_{starts_at:%Y_%m}")
    return True


def _may_go(starts_at: datetime, ends_at: datetime) -> bool:
    """Say whether a closed month's totals stand without its calls.

    A month whose calls are gone in part lost them with a table that it shares with its neighbour, and was compared then.
    """
    unended = Reservation.objects.filter(created_at__gte=starts_at, created_at__lt=ends_at)
    if unended.filter(state=Reservation.State.OPEN).exists():
        return False
    if unended.filter(state=Reservation.State.SETTLED, is_rolled_up=False).exists():
        return False
    if not rollups.has_detail(starts_at=starts_at, ends_at=ends_at):
        return True
    return not rollups.differences(starts_at=starts_at)


def _has_calls(starts_at: datetime) -> bool:
    return UsageRecord.objects.between(starts_at, calendar.next_month(starts_at)).exists()


def _months_of(starts_at: datetime) -> list[tuple[datetime, datetime]]:
    """Return the months of the billing time zone that a table's month of UTC touches."""
    ends_at = starts_at.replace(
        year=starts_at.year + starts_at.month // 12, month=starts_at.month % 12 + 1
    )
    months = [calendar.month_of(starts_at)]
    if months[0][1] < ends_at:
        months.append(calendar.month_of(months[0][1]))
    return months
