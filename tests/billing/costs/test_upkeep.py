"""The monthly tables: made ahead; removed only where the month is closed, agrees with its totals and is old enough."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.billing import book, calendar, tasks
from apps.billing.costs import rollups, upkeep
from apps.billing.costs.overview import CostFilter, Dimension, calls, overview
from apps.billing.models import (
    DailyCost,
    LedgerEntry,
    MonthClose,
    Reservation,
    UsageRecord,
)
from tests.billing.costs.calls import DAY, Organisation, month
from tests.tuning import turning
from tests.tuning.turning import turns

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def organisation(db: None) -> Organisation:
    """Calls of August to November, all in the totals, with a table for each month."""
    organisation = Organisation()
    upkeep.make_partitions(at=datetime(2026, 8, 1, tzinfo=UTC))
    for number in (8, 9, 10, 11):
        organisation.spend_by(month(2026, number), count=6)
    rollups.roll_up_batch(limit=100)
    # The foreign keys are checked at commit; PostgreSQL drops no table while checks are pending.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return organisation


@pytest.fixture
def keep_months(django_capture_on_commit_callbacks: Any) -> Any:
    """Turn the retention."""

    def turn(months: int) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            turning.turn("billing.detail_retention_months", months)

    return turn


def close(number: int) -> None:
    starts_at, ends_at = month(2026, number)
    MonthClose.objects.create(starts_at=starts_at, ends_at=ends_at, closed_at=NOW)


def table(number: int) -> datetime:
    return datetime(2026, number, 1, tzinfo=UTC)


def test_tables_are_made_for_this_month_and_the_next_three() -> None:
    at = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)
    assert upkeep.make_partitions(at=at) == 4
    assert upkeep.make_partitions(at=at) == 0
    assert upkeep.partitions()[-4:] == [
        datetime(year, number, 1, tzinfo=UTC)
        for year, number in ((2031, 11), (2031, 12), (2032, 1), (2032, 2))
    ]


def test_the_task_makes_the_coming_tables() -> None:
    tasks.make_partitions()
    assert upkeep.make_partitions() == 0


def test_months_with_calls_or_totals_are_known(organisation: Organisation) -> None:
    assert upkeep.months_with_cost() == [month(2026, number)[0] for number in (8, 9, 10, 11)]
    organisation.call(at=datetime(2019, 5, 7, tzinfo=UTC))
    assert upkeep.months_with_cost()[0] == datetime(2019, 5, 1, tzinfo=UTC)


@turns("billing.detail_retention_months")
def test_calls_of_closed_months_go_when_they_are_older_than_the_retention(
    organisation: Organisation, keep_months: Any
) -> None:
    close(8)
    close(9)
    whole = CostFilter(*month(2026, 8, months=4))
    before = overview(whole, list(Dimension))
    ledger = [*LedgerEntry.objects.order_by("id")]
    assert upkeep.remove_detail(at=NOW) == []
    keep_months(2)
    assert upkeep.remove_detail(at=NOW) == [table(8)]
    assert upkeep.remove_detail(at=NOW) == []
    assert UsageRecord.objects.between(*month(2026, 8)).count() == 0
    assert UsageRecord.objects.count() == 18 == len(calls(whole, before=None))
    assert overview(whole, list(Dimension)) == before
    assert [*LedgerEntry.objects.order_by("id")] == ledger
    assert Reservation.objects.count() == 24


def test_open_months_stay_however_old(organisation: Organisation, keep_months: Any) -> None:
    close(9)
    keep_months(1)
    assert upkeep.remove_detail(at=NOW) == [table(9)]
    assert upkeep.remove_detail(at=NOW + 900 * DAY) == []
    assert UsageRecord.objects.between(*month(2026, 8)).count() == 6


def test_a_month_whose_totals_differ_keeps_its_calls(
    organisation: Organisation, keep_months: Any, caplog: pytest.LogCaptureFixture
) -> None:
    close(8)
    keep_months(1)
    DailyCost.objects.filter(starts_at__lt=month(2026, 9)[0]).first().delete()  # type: ignore[union-attr]
    assert upkeep.remove_detail(at=NOW) == []
    assert "its calls stay" in caplog.text
    rollups.remake(starts_at=month(2026, 8)[0])
    assert upkeep.remove_detail(at=NOW) == [table(8)]


def test_a_month_with_a_call_not_in_its_totals_keeps_its_calls(
    organisation: Organisation, keep_months: Any
) -> None:
    organisation.call(at=month(2026, 8)[0] + DAY)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    close(8)
    keep_months(1)
    assert upkeep.remove_detail(at=NOW) == []
    rollups.roll_up_batch(limit=10)
    assert upkeep.remove_detail(at=NOW) == [table(8)]


def test_totals_whose_calls_are_gone_are_not_remade(
    organisation: Organisation, keep_months: Any
) -> None:
    close(8)
    keep_months(1)
    upkeep.remove_detail(at=NOW)
    august = month(2026, 8)
    before = overview(CostFilter(*august), list(Dimension))
    assert not rollups.has_detail(starts_at=august[0], ends_at=august[1])
    with pytest.raises(rollups.DetailRemovedError, match="removed"):
        rollups.remake(starts_at=august[0])
    # Neither when a table of that month is made again.
    assert upkeep.make_partitions(at=august[0]) == 1
    assert not rollups.has_detail(starts_at=august[0], ends_at=august[1])
    assert overview(CostFilter(*august), list(Dimension)) == before
    assert rollups.has_detail(starts_at=august[1], ends_at=month(2026, 9)[1])


def test_a_month_of_another_zone_shares_its_tables_with_its_neighbours(
    settings: Any, keep_months: Any
) -> None:
    settings.BILLING_TIME_ZONE = "Europe/Berlin"
    book.open_book()
    organisation = Organisation()
    upkeep.make_partitions(at=datetime(2026, 6, 15, tzinfo=UTC))
    starts_at = month(2026, 9)[0]
    for hours in (-1, 1, 24):
        organisation.call(at=starts_at + timedelta(hours=hours))
    rollups.roll_up_batch(limit=100)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    keep_months(1)
    # The table of August begins at 2 o'clock of that zone, and ends with two hours of September.
    for number in (6, 7, 8):
        close(number)
        assert table(8) not in upkeep.remove_detail(at=NOW)
    close(9)
    assert table(8) in upkeep.remove_detail(at=NOW)
    assert calendar.month_of(starts_at)[0] == starts_at
    assert overview(CostFilter(*month(2026, 8, months=2)), ()).total.call_count == 3


def test_the_task_removes_nothing_as_shipped(organisation: Organisation) -> None:
    for number in (8, 9, 10):
        close(number)
    tasks.remove_detail()
    assert UsageRecord.objects.count() == 24
    assert timezone.now() > NOW - DAY
