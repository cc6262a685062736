"""The access log: what is noted reaches the tables exactly, and a database that is away costs nobody a wait."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection, connections, transaction
from django.db.models import Sum
from prometheus_client import REGISTRY

from apps.caching import access
from apps.caching.flusher import MAX_ROWS, Buffer, Flusher
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.models import AccessLog, AccessMinute, ProcessReport
from apps.caching.outcomes import Level
from tests.caching.waiting import until

KEYSPACE: Keyspace[str] = Keyspace(
    name="caching:tested:1",
    key_fields=("number",),
    help_text="For tests.",
    fresh_by="Never.",
    shared_by=Sharing.EVERYONE,
    ttl_seconds=60,
)


def digest(number: int) -> str:
    """A digest whose leading bits are those of the number."""
    return f"{number:016x}{'0' * 16}"


@pytest.fixture
def flusher() -> Iterator[None]:
    """The process's own flusher, quick."""
    access.stop()
    access._buffer.reset()
    access.start(flush_seconds=0.02)
    yield
    access.stop()
    access._buffer.reset()


def by_hand(buffer: Buffer) -> Flusher:
    """A flusher without its thread."""
    return Flusher(buffer, interval_seconds=1.0)


def reads() -> int:
    return AccessMinute.objects.aggregate(total=Sum("read_count"))["total"] or 0


@pytest.mark.django_db(transaction=True)
def test_what_is_noted_is_written_by_the_thread(flusher: None) -> None:
    began_at = datetime.now(UTC)
    access.note(KEYSPACE, digest(5), Level.MISS, 1200.4, 1000, 70)
    access.note(KEYSPACE, digest(2**64 - 3), Level.L2, 200, 1000, 70)
    access.note(KEYSPACE, digest(5), Level.L1, 3, 1000, 70)
    access.note(KEYSPACE, None, Level.BYPASS, 40, 0, 0)
    until(lambda: reads() == 4)
    rows = AccessLog.objects.order_by("id").values_list(
        "keyspace", "key_hash", "level", "elapsed_us", "cost_us", "cost_nanos", "sampling_ratio"
    )
    assert list(rows) == [
        ("caching:tested:1", 5, Level.MISS, 1200, 1000, 70, 1.0),
        ("caching:tested:1", -3, Level.L2, 200, 1000, 70, 1.0),
        ("caching:tested:1", 5, Level.L1, 3, 1000, 70, 1.0),
    ]
    at = AccessLog.objects.earliest("id").at
    assert began_at <= at <= datetime.now(UTC)
    saved = AccessMinute.objects.values_list("level", "read_count", "saved_us", "saved_nanos")
    assert sorted(saved) == [
        (Level.L1, 1, 997, 70),
        (Level.L2, 1, 800, 70),
        (Level.MISS, 1, 0, 0),
        (Level.BYPASS, 1, 0, 0),
    ]


@pytest.mark.django_db(transaction=True)
def test_prometheus_counts_every_read() -> None:
    def told(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, {"keyspace": "caching:tested:1", **labels}) or 0.0

    before = told("parley_cache_accesses_total", level="L2"), told("parley_cache_saved_nanos_total")
    buffer = Buffer(100)
    buffer.accesses.extend(
        ("caching:tested:1", digest(n), Level.L2, 600.0, 100.0, 500.0, 9) for n in range(4)
    )
    by_hand(buffer).flush()
    after = told("parley_cache_accesses_total", level="L2"), told("parley_cache_saved_nanos_total")
    assert (after[0] - before[0], after[1] - before[1]) == (4, 36)


@pytest.mark.django_db(transaction=True)
def test_reads_of_one_minute_are_added_up() -> None:
    buffer = Buffer(100)
    flusher = by_hand(buffer)
    for _batch in range(3):
        buffer.accesses.extend(
            ("caching:tested:1", digest(n), Level.L2, 600.0, 100.0, 500.0, 9) for n in range(4)
        )
        flusher.flush()
    [minute] = AccessMinute.objects.all()
    assert (minute.read_count, minute.elapsed_us, minute.saved_us, minute.saved_nanos) == (
        12,
        1200,
        4800,
        108,
    )
    assert minute.minute == datetime.fromtimestamp(600, UTC)


@pytest.mark.django_db(transaction=True)
def test_the_flusher_gives_its_connection_back(flusher: None) -> None:
    pool = connections["default"].pool

    def in_use() -> int:
        figures = pool.get_stats()
        return int(figures["pool_size"] - figures["pool_available"])

    # This test's own, and what threads of earlier tests may still hold.
    reads()
    before = in_use()
    access.note(KEYSPACE, digest(1), Level.L1, 3, 10, 0)
    until(lambda: reads() == 1)
    until(lambda: in_use() <= before)


def test_the_buffer_is_bounded_and_drops_the_oldest() -> None:
    buffer = Buffer(10)
    for number in range(25):
        buffer.accesses.append(("k", digest(number), 1, 0.0, 1.0, 1.0, 0))
        buffer.make_room()
    assert buffer.dropped_count == 15
    assert [one[1] for one in buffer.take()] == [digest(number) for number in range(15, 25)]


def test_a_full_buffer_counts_each_drop_of_many_threads() -> None:
    access.stop()
    access._buffer.reset()
    access.start(flush_seconds=0)

    def fill() -> None:
        for _n in range(access.CAPACITY // 2):
            access.note(KEYSPACE, digest(1), Level.L1, 1, 1, 0)

    threads = [threading.Thread(target=fill) for _n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(access._buffer.accesses) == access.CAPACITY
    assert access._buffer.dropped_count == access.CAPACITY
    access._buffer.reset()
    access.stop()


@pytest.mark.django_db(transaction=True)
def test_a_killed_connection_loses_nothing_and_makes_nobody_wait(flusher: None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE caching_accessminute IN ACCESS EXCLUSIVE MODE")
        for number in range(100):
            access.note(KEYSPACE, digest(number), Level.L2, 100, 1000, 1)
        waiting = """
            SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE NOT l.granted AND l.relation = 'caching_accessminute'::regclass AND d.datname = current_database()
        """

        def is_waiting() -> bool:
            cursor.execute(waiting)
            return cursor.fetchone() is not None

        until(is_waiting)
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) one")
        for number in range(100, 150):
            access.note(KEYSPACE, digest(number), Level.L2, 100, 1000, 1)
    until(lambda: reads() == 150)
    assert AccessLog.objects.count() == 150


@pytest.mark.django_db(transaction=True)
def test_what_waits_for_the_database_is_bounded_counted_and_written_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = Buffer(100_000)
    flusher = by_hand(buffer)
    at = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE caching_accessminute RENAME TO caching_accessminute_away")
    try:
        for batch in range(3):
            buffer.accesses.extend(
                ("caching:tested:1", digest(n << 32), Level.L2, at, 100.0, 500.0, 0)
                for n in range(MAX_ROWS)
            )
            flusher._rows_per_second = 10**9
            flusher.flush()
            assert len(flusher._rows) <= MAX_ROWS
            assert flusher.dropped_count == batch * MAX_ROWS
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE caching_accessminute_away RENAME TO caching_accessminute")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    flusher.flush()
    assert reads() == 3 * MAX_ROWS
    assert AccessLog.objects.count() == MAX_ROWS
    [report] = ProcessReport.objects.filter(keyspace="")
    assert report.dropped_count == 2 * MAX_ROWS


@pytest.mark.django_db(transaction=True)
def test_reads_the_database_refuses_are_dropped_and_counted_and_the_next_are_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    buffer = Buffer(100)
    flusher = by_hand(buffer)
    buffer.accesses.append(("k" * 81, digest(1), Level.L2, 600.0, 100.0, 500.0, 9))
    flusher.flush()
    buffer.accesses.append(("caching:tested:1", digest(1), Level.L2, 600.0, 100.0, 500.0, 9))
    flusher.flush()
    assert reads() == 1
    assert flusher.dropped_count == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.django_db(transaction=True)
def test_a_pool_closed_under_the_flusher_loses_nothing_and_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As Celery does around each task of a prefork child, whose flusher is a thread beside them."""
    buffer = Buffer(10)
    one = by_hand(buffer)
    buffer.accesses.append((KEYSPACE.name, digest(5), Level.MISS, 1.0, 10.0, 20.0, 0))
    connection.ensure_connection()
    connection.close()
    assert connection.pool is not None
    connection.pool.close()
    one.flush()
    assert not caplog.records
    del connection._connection_pools[connection.alias]
    one.flush()
    assert (reads(), one.dropped_count) == (1, 0)
    # One that stays closed is.
    connection.close()
    connection.pool.close()
    buffer.accesses.append((KEYSPACE.name, digest(6), Level.MISS, 1.0, 10.0, 20.0, 0))
    for _round in range(4):
        one.flush()
    del connection._connection_pools[connection.alias]
    assert [record.message for record in caplog.records] == [
        "the access log is not written: it waits, bounded"
    ]
    one.flush()
    assert (reads(), one.dropped_count) == (2, 0)
