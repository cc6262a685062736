"""The days of the access log: made ahead, dropped whole, and none missing loses a row."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.caching import partitions, tasks
from apps.caching.models import AccessLog
from apps.caching.outcomes import Level
from apps.tuning import services as tuning


def partition_names(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            (table,),
        )
        return {name for (name,) in cursor.fetchall()}


def log_at(at: datetime) -> AccessLog:
    return AccessLog.objects.create(
        at=at,
        keyspace="caching:tested:1",
        key_hash=1,
        level=Level.L1,
        elapsed_us=1,
        cost_us=1,
        cost_nanos=0,
        sampling_ratio=1,
    )


def partition_of(row: AccessLog) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM caching_accesslog WHERE id = %s", (row.pk,)
        )
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_days_are_made_ahead_and_dropped_past_their_retention() -> None:
    today = datetime(2031, 5, 10, 13, tzinfo=UTC)
    tuning.change(values={"caching.access_log_days": 1, "caching.figures_days": 2}, author_id=None)
    made, _dropped = partitions.keep(at=today - timedelta(days=1))
    assert made == 8
    yesterday = log_at(today - timedelta(days=1))
    assert partition_of(yesterday) == "caching_accesslog_2031_05_09"
    lost = log_at(today - timedelta(days=40))
    assert partition_of(lost) == "caching_accesslog_default"
    present = log_at(today)
    # The rows of real today's partitions are past by 2031, too.
    _made, dropped = partitions.keep(at=today)
    assert dropped >= 1
    assert list(AccessLog.objects.values_list("pk", flat=True)) == [present.pk]
    assert partition_names("caching_accesslog") == {
        "caching_accesslog_default",
        *(f"caching_accesslog_2031_05_{day}" for day in (10, 11, 12, 13)),
    }
    assert "caching_accessminute_2031_05_09" in partition_names("caching_accessminute")


@pytest.mark.django_db
def test_the_hourly_task_keeps_today_s_tables() -> None:
    tasks.keep_partitions()
    assert f"caching_accesslog_{timezone.now():%Y_%m_%d}" in partition_names("caching_accesslog")
    assert partition_of(log_at(timezone.now())) == f"caching_accesslog_{timezone.now():%Y_%m_%d}"


@pytest.mark.django_db
def test_rows_that_came_before_their_day_s_partition_move_into_it() -> None:
    moment = datetime(2032, 2, 28, 23, 59, 59, tzinfo=UTC)
    row, other = log_at(moment), log_at(moment - timedelta(days=3))
    tuning.change(values={"caching.access_log_days": 90}, author_id=None)
    partitions.keep(at=moment)
    assert partition_of(row) == "caching_accesslog_2032_02_28"
    assert partition_of(other) == "caching_accesslog_default"
    assert partitions.keep(at=moment) == (0, 0)
