"""Totals of the calls: settled calls are added to them in batches, and a month's totals can be remade and compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing import calendar, saving_months
from apps.billing.errors import BillingError, sqlstate_of
from apps.billing.models import Reservation
from apps.tuning import live

DETAIL_REMOVED = "PB003"


class DetailRemovedError(BillingError):
    """The calls of the month are removed: its totals can't be made from them any more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How many rows of one total are not what the calls add up to, and the amount they are off, without its sign."""

    total_name: str
    row_count: int
    off_nanos: int


def roll_up_batch(*, limit: int) -> int:
    """Add at most `limit` settled calls to the totals, in one transaction; return how many.

    Workers at the same time take different calls. A worker that is killed has added and marked none.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT billing_roll_up_v2(%s)", (limit,))
        [call_count] = cursor.fetchone()
    return int(call_count)


def roll_up(*, at: datetime | None = None) -> int:
    """Add the calls that are due, batch after batch; return how many.

    They are due as soon as they fill a batch, or one of them has waited for the window.
    """
    now = at or timezone.now()
    rolled_count = 0
    while _is_due(now):
        batch = roll_up_batch(limit=live.integer("billing.rollup_batch_size"))
        if not batch:
            # Another worker has them.
            break
        rolled_count += batch
    return rolled_count


def _is_due(now: datetime) -> bool:
    batch_size = live.integer("billing.rollup_batch_size")
    window = timedelta(seconds=live.integer("billing.rollup_window_seconds"))
    waiting = Reservation.objects.filter(state=Reservation.State.SETTLED, is_rolled_up=False)
    settled_at = [*waiting.values_list("settled_at", flat=True)[:batch_size]]
    return len(settled_at) >= batch_size or any(
        moment is None or moment <= now - window for moment in settled_at
    )


def differences(*, starts_at: datetime) -> list[Difference]:
    """Compare the totals of the month that starts then with its calls; return those that differ.

    Calls still to be rolled up are left out on both sides.
    """
    with _unhurried(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM billing_cost_differences_v2(%s, %s)",
            (starts_at, calendar.next_month(starts_at)),
        )
        found = [Difference(*row) for row in cursor.fetchall()]
    found.append(Difference("savingmonth", *saving_months.differences(starts_at=starts_at)))
    return [one for one in found if one.row_count]


def remake(*, starts_at: datetime) -> int:
    """Make the totals of the month that starts then anew from its calls; return how many rows they have.

    Batches wait meanwhile; readers see the old totals until it is done.

    Raises:
        DetailRemovedError: its calls were removed.
    """
    try:
        with _unhurried(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT billing_remake_costs_v2(%s, %s)",
                (starts_at, calendar.next_month(starts_at)),
            )
            [row_count] = cursor.fetchone()
    except DatabaseError as error:
        if sqlstate_of(error) == DETAIL_REMOVED:
            raise DetailRemovedError(
                _("The calls of this month were removed; its totals stay as they are.")
            ) from error
        raise
    return int(row_count) + saving_months.remake(starts_at=starts_at)


def has_detail(*, starts_at: datetime, ends_at: datetime) -> bool:
    """Say whether the calls of this span are there, not only their totals."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_has_detail_v1(%s, %s)", (starts_at, ends_at))
        [is_there] = cursor.fetchone()
    return bool(is_there)


@contextmanager
def _unhurried() -> Iterator[None]:
    # A month of millions of calls takes longer than a page may; sorts and hashes get room for the while.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL work_mem = '256MB'")
        yield
