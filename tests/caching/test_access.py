"""The access log: what is noted reaches the tables exactly, and a database that is away costs nobody a wait."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Sum
from django.utils import timezone

from apps.caching import access, partitions, tasks
from apps.caching.flusher import MAX_ROWS, Buffer, Flusher
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.models import AccessLog, AccessMinute, ProcessReport
from apps.caching.outcomes import Level
from apps.caching.sampling import Sampler, fair_limits
from apps.tuning import services as tuning

WAIT_SECONDS = 30.0

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


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


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
    wait_for(lambda: reads() == 4)
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
    access.note(KEYSPACE, digest(1), Level.L1, 3, 10, 0)
    wait_for(lambda: reads() == 1)
    pool = connections["default"].pool

    def is_all_back() -> bool:
        # This test's own connection is the one in use.
        figures = pool.get_stats()
        return bool(figures["pool_available"] == figures["pool_size"] - 1)

    wait_for(is_all_back)


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
        waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'caching_accessminute'::regclass"

        def is_waiting() -> bool:
            cursor.execute(waiting)
            return cursor.fetchone() is not None

        wait_for(is_waiting)
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) one")
        for number in range(100, 150):
            access.note(KEYSPACE, digest(number), Level.L2, 100, 1000, 1)
    wait_for(lambda: reads() == 150)
    assert AccessLog.objects.count() == 150


CLOSED_PORT = """
import sys, time
import django
django.setup()
from apps.caching import access
from apps.caching.flusher import Buffer
from apps.caching.keyspaces import Keyspace, Sharing
keyspace = Keyspace(name="caching:tested:1", key_fields=("n",), help_text="", fresh_by="",
                    shared_by=Sharing.EVERYONE, ttl_seconds=60)
access.CAPACITY = access._buffer.capacity = 1000
access.start(flush_seconds=0.01)
slowest = 0.0
for number in range(5000):
    began = time.perf_counter()
    access.note(keyspace, f"{number:032x}", 2, 10, 20, 0)
    slowest = max(slowest, time.perf_counter() - began)
assert len(access._buffer.accesses) <= 1000
began = time.perf_counter()
access.stop()
print(f"{slowest:.3f} {time.perf_counter() - began:.3f} {access._buffer.dropped_count > 0}")
"""


def test_a_database_that_is_away_neither_blocks_nor_hangs_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_PORT],
        env={
            **os.environ,
            "DATABASE_URL": f"postgres://nobody@127.0.0.1:{port}/nothing",
            "DJANGO_SETTINGS_MODULE": "project.settings.test",
        },
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    _slowest, farewell_seconds, _has_dropped = done.stdout.split()
    assert float(farewell_seconds) < access.FAREWELL_SECONDS + 1


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


PROCESS = """
import os
import sys
import django
django.setup()
from apps.caching import access
from apps.caching.keyspaces import Keyspace, Sharing
keyspace = Keyspace(name="caching:tested:1", key_fields=("n",), help_text="", fresh_by="",
                    shared_by=Sharing.EVERYONE, ttl_seconds=60)
access.note(keyspace, "f" * 32, 2, 10, 20, 0)
if "fork" in sys.argv:
    child = os.fork()
    if child == 0:
        assert not access._buffer.accesses
        access.note(keyspace, "e" * 32, 2, 10, 20, 0)
        from apps.caching.tasks import write_the_rest
        write_the_rest()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("arguments", "expected"), [((), [-1]), (("fork",), [int("e" * 16, 16) - 2**64, -1])]
)
def test_a_process_and_its_forked_child_each_write_their_own_at_the_end(
    arguments: tuple[str, ...], expected: list[int]
) -> None:
    database = connection.settings_dict
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    subprocess.run(
        [sys.executable, "-c", PROCESS, *arguments],
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.caching.flushing_settings",
        },
        cwd=settings.BASE_DIR,
        check=True,
    )
    assert sorted(AccessLog.objects.values_list("key_hash", flat=True)) == expected


# --- sampling ---


def test_a_sampler_keeps_whole_keys_and_nests() -> None:
    hashes = [(n * 0x9E3779B97F4A7C15) % 2**64 for n in range(1000)]
    sampler = Sampler()
    first = sampler.end(hashes * 3, limit=3000, now_seconds=0)
    assert (first, sampler.ratio) == (2**64, 1.0)
    second = sampler.end(hashes * 3, limit=800, now_seconds=1)
    assert sampler.ratio == 0.25
    assert sum(one < second for one in hashes * 3) <= 800
    # Held for a minute, then let out one step at a time.
    assert sampler.end(hashes[:1], limit=800, now_seconds=30) == second
    assert sampler.end(hashes[:1], limit=800, now_seconds=61) == second * 2


def test_a_cap_is_shared_out_fairly() -> None:
    assert fair_limits({"hot": 5000, "warm": 80, "rare": 3}, 200) == {
        "rare": 3,
        "warm": 80,
        "hot": 117,
    }
    assert fair_limits({"a": 500, "b": 500}, 200) == {"a": 100, "b": 100}


@pytest.mark.django_db(transaction=True)
def test_turning_the_cap_samples_the_next_batches_and_counts_all() -> None:
    tuning.change(values={"caching.access_log_rows_per_second": 50}, author_id=None)
    buffer = Buffer(100_000)
    flusher = by_hand(buffer)
    at = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    batch = [
        (
            "caching:tested:1",
            digest((n * 0x9E3779B97F4A7C15) % 2**64),
            Level.L1,
            at,
            2.0,
            90.0,
            0,
        )
        for n in range(1000)
    ]
    flusher.flush()
    buffer.accesses.extend(batch * 2)
    flusher.flush()
    assert reads() == 2000
    kept = AccessLog.objects.values_list("key_hash", "sampling_ratio")
    assert 0 < len(kept) <= 50
    [ratio] = {ratio for _hash, ratio in kept}
    assert (1 / ratio).is_integer()
    # Both reads of each key that was kept, and about as many keys as the ratio says.
    assert len({key_hash for key_hash, _ratio in kept}) * 2 == len(kept)


# --- partitions ---


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
