"""Closing a month: its statements are frozen, and nothing is booked into it any more."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.errors import LockNotAvailable

from apps.billing.errors import BillingError
from apps.billing.models import MonthClose, Statement
from apps.billing.statements.drafting import draft_month, month_code

logger = logging.getLogger(__name__)


class MonthNotClosableError(BillingError):
    """The month can't close yet; `obstacles` say why and what to do."""

    def __init__(self, obstacles: Sequence[str]) -> None:
        super().__init__(" ".join(obstacles))
        self.obstacles = list(obstacles)


def close_month(
    *, starts_at: datetime, closed_by_id: UUID | None = None, at: datetime | None = None
) -> MonthClose:
    """Freeze the month's statements and close it, in one transaction of its own; a repeat returns the first close.

    Bookings that are under way are waited for, and those that come while it runs find the month closed
    (migration 0008): each is either on a statement or in the next month.

    Raises:
        MonthNotClosableError: the month is not over, has open calls, comes after an open one with cost, differs from
            its ledger, or a shared cost can't be spread.
    """
    now = _wait_for_bookings()
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            # A lock takes no snapshot: what was booked before it was granted is seen by all that follows.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SET LOCAL statement_timeout = '10min'")
            cursor.execute("LOCK TABLE billing_monthclose IN EXCLUSIVE MODE")
        closed = MonthClose.objects.filter(starts_at=starts_at).first()
        if closed:
            return closed
        return _close(starts_at, closed_by_id, at or now)


def _close(starts_at: datetime, closed_by_id: UUID | None, at: datetime) -> MonthClose:
    later = MonthClose.objects.filter(starts_at__gt=starts_at).order_by("starts_at").first()
    if later:
        raise MonthNotClosableError(
            [_("%(month)s is closed, and with it all that came before.") % {"month": later}]
        )
    draft = draft_month(starts_at=starts_at, at=at)
    if draft.obstacles:
        raise MonthNotClosableError(draft.obstacles)
    month = MonthClose.objects.create(
        starts_at=starts_at,
        ends_at=draft.ends_at,
        closed_at=timezone.now(),
        closed_by_id=closed_by_id,
    )
    for statement in draft.statements:
        statement.month = month
    Statement.objects.bulk_create(draft.statements)
    logger.info(
        "month closed",
        extra={
            "month": month_code(starts_at),
            "statement_count": len(draft.statements),
            "total_nanos": draft.total_nanos,
        },
    )
    return month


def _wait_for_bookings() -> datetime:
    """Wait for the transactions that may have opened a call or booked an entry before now; return when that was.

    In a transaction of its own: held any longer, the locks would stop every call. By the database's clock, which is
    the one calls are opened by.
    """
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '10s'")
            cursor.execute("LOCK TABLE billing_reservation, billing_ledgerentry IN SHARE MODE")
            cursor.execute("SELECT clock_timestamp()")
            [now] = cursor.fetchone()
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise MonthNotClosableError(
                [_("Something has been booking for ten seconds: try again in a minute.")]
            ) from error
        raise
    moment: datetime = now
    return moment
