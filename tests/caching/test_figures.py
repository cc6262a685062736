"""The figures are exact where they count, and within their stated error where they sketch."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.caching import contents, figures, keyspaces, policies, remote, services
from apps.caching.breaker import breaker
from apps.caching.flusher import Buffer, Flusher
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.local import L1Figures
from apps.caching.models import AccessMinute, ProcessReport
from apps.caching.outcomes import Level
from apps.caching.reports import report
from apps.caching.sink import process_name, write
from apps.caching.sketch import RELATIVE_ERROR, bucket, quantile, representative

NOW = datetime(2026, 3, 10, 12, 30, 20, tzinfo=UTC)

BOOKS: Keyspace[str] = Keyspace(
    name="caching:books:1",
    key_fields=("shelf", "number"),
    help_text="Books of the tests.",
    fresh_by="Never.",
    shared_by=Sharing.EVERYONE,
    ttl_seconds=60,
    l1_ttl_seconds=5,
    l1_share_ratio=0.1,
)


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyspace[str]]:
    """A keyspace that is declared for one test."""
    monkeypatch.setitem(keyspaces._keyspaces, BOOKS.name, BOOKS)
    remote.client().flushdb()
    policies.forget()
    contents.forget()
    yield BOOKS
    policies.forget()
    contents.forget()


def take(*accesses: tuple[timedelta, Level, float, float, int]) -> None:
    """Write accesses by hand: age, level, microseconds, cost in microseconds and nanos."""
    buffer = Buffer(10_000)
    buffer.accesses.extend(
        (BOOKS.name, "0" * 32, level, (NOW - age).timestamp(), elapsed_us, cost_us, cost_nanos)
        for age, level, elapsed_us, cost_us, cost_nanos in accesses
    )
    Flusher(buffer, interval_seconds=1).flush()


def at(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


@pytest.mark.django_db(transaction=True)
def test_windows_count_exactly_what_lies_within_them() -> None:
    take(
        *[(at(0), Level.L1, 3, 1000, 50)] * 6,
        *[(at(1), Level.L2, 200, 1000, 50)] * 2,
        *[(at(2), Level.MISS, 1100, 1000, 50)] * 2,
        *[(at(3), Level.BYPASS, 900, 0, 0)] * 5,
        (at(20), Level.STALE, 40, 1000, 50),
        *[(at(40), Level.MISS, 1100, 1000, 50)] * 5,
        *[(at(300), Level.L2, 1500, 1000, 50)] * 4,
        # Yesterday: in no window.
        *[(at(1500), Level.L1, 3, 1000, 50)] * 100,
    )
    windows = figures.overview(now=NOW)[BOOKS.name]
    latest, hour, day = windows["five_minutes"], windows["hour"], windows["day"]
    assert latest.counts == {Level.L1: 6, Level.L2: 2, Level.MISS: 2, Level.BYPASS: 5}
    assert latest.hit_ratio == 8 / 10
    assert (latest.saved_us, latest.saved_nanos) == (6 * 997 + 2 * 800, 8 * 50)
    assert hour.hit_ratio == 8 / 16
    assert day.hit_ratio == 12 / 20
    # A hit slower than computing has saved no time, and says so.
    assert day.saved_us == 6 * 997 + 2 * 800 - 4 * 500
    assert (day.asked_count, day.bypass_count) == (20, 5)


@pytest.mark.django_db(transaction=True)
def test_a_keyspace_without_reads_has_no_hit_rate() -> None:
    take((at(0), Level.BYPASS, 900, 0, 0))
    assert figures.overview(now=NOW)[BOOKS.name]["day"].hit_ratio is None
    assert [one.p50_us for one in figures.latencies("caching:other:1", now=NOW)] == [None] * 5


@pytest.mark.django_db(transaction=True)
def test_latencies_are_within_five_percent_by_level() -> None:
    hits = [100 + 7 * n for n in range(100)]
    misses = [30_000 + 900 * n for n in range(100)]
    take(
        *[(at(n % 50), Level.L2, hit, 1000, 0) for n, hit in enumerate(hits)],
        *[(at(n % 50), Level.MISS, miss, 1000, 0) for n, miss in enumerate(misses)],
    )
    found = {one.level: one for one in figures.latencies(BOOKS.name, now=NOW)}
    for level, values in ((Level.L2, hits), (Level.MISS, misses)):
        assert found[level].read_count == 100
        for told, share in ((found[level].p50_us, 0.5), (found[level].p95_us, 0.95)):
            true = float(np.quantile(values, share, method="lower"))
            assert told == pytest.approx(true, rel=RELATIVE_ERROR)
    assert found[Level.L1].p95_us is None


@given(
    st.lists(st.floats(min_value=1, max_value=1e9), min_size=1, max_size=300),
    st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    st.integers(min_value=0, max_value=300),
)
def test_a_sketch_is_within_its_error_however_it_was_merged(
    values: list[float], share: float, cut: int
) -> None:
    parts = [values[:cut], values[cut:]]
    merged: dict[int, int] = {}
    for part in parts:
        for value in part:
            merged[bucket(value)] = merged.get(bucket(value), 0) + 1
    true = float(np.quantile(values, share, method="lower"))
    told = quantile(merged, share)
    assert told is not None
    assert math.isclose(told, true, rel_tol=RELATIVE_ERROR * (1 + 1e-9)) or true <= 1


def test_buckets_hold_what_they_stand_for() -> None:
    assert bucket(0) == bucket(1) == 0
    assert quantile({}, 0.5) is None
    for value in (1.5, 3.0, 250.0, 1e6, 1e8):
        assert representative(bucket(value)) == pytest.approx(value, rel=RELATIVE_ERROR)


@pytest.mark.django_db(transaction=True)
def test_a_series_has_every_bin_and_loses_nothing() -> None:
    take(
        *[(at(0), Level.L1, 3, 1000, 50)] * 3,
        *[(at(1), Level.MISS, 3, 1000, 50)] * 2,
        *[(at(59), Level.L2, 3, 1000, 50)] * 4,
        *[(at(61), Level.L2, 3, 1000, 50)] * 9,
    )
    points = figures.series(BOOKS.name, now=NOW, span="hour")
    assert len(points) == 60
    assert points[-1].at == datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
    assert points[-1].reads.counts == {Level.L1: 3}
    assert points[-2].reads.counts == {Level.MISS: 2}
    assert points[0].reads.counts == {Level.L2: 4}
    assert not any(point.reads.counts for point in points[1:-2])
    day = figures.series(BOOKS.name, now=NOW, span="day")
    assert len(day) == 144
    assert [point.at for point in day] == [
        datetime(2026, 3, 10, 12, 30, tzinfo=UTC) - timedelta(minutes=10) * back
        for back in range(143, -1, -1)
    ]
    assert sum(sum(point.reads.counts.values()) for point in day) == 18


@pytest.mark.django_db(transaction=True)
def test_processes_add_up_and_those_gone_are_left_out() -> None:
    for entries in (10, 20):
        write(
            process=process_name(),
            rows=[],
            cells={},
            memories={BOOKS.name: L1Figures(entries, 3)},
            dropped_count=7,
        )
    gone = process_name()
    write(
        process=gone,
        rows=[],
        cells={},
        memories={BOOKS.name: L1Figures(99, 99)},
        dropped_count=99,
    )
    ProcessReport.objects.filter(process=gone).update(
        reported_at=timezone.now() - timedelta(minutes=5)
    )
    found = contents.processes()
    assert (found.process_count, found.dropped_count) == (2, 14)
    assert found.by_keyspace == {BOOKS.name: L1Figures(30, 6)}


def put(keyspace: Keyspace[Any], key: tuple[str, ...], size: int) -> str:
    value, _generation, _lease = remote.keys_of(
        keyspace.name, policies.of(keyspace).epoch, keyspaces.digest(keyspace, key)
    )
    remote.client().set(value, "x" * size)
    return value


@pytest.mark.django_db(transaction=True)
def test_entries_in_valkey_are_counted_of_the_present_epoch_only(books: Keyspace[str]) -> None:
    services.purge(name=books.name, author_id=None)
    old = f"v:{{{books.name}:0:{'a' * 32}}}"
    remote.client().set(old, "x" * 5000)
    for number in range(30):
        put(books, ("shelf", str(number)), 1000)
    contents.forget()
    found = contents.valkey()
    assert found is not None
    held = found.by_keyspace[books.name]
    assert held.entries == 30
    assert not held.is_estimate
    assert 30_000 < held.bytes < 45_000
    assert contents.holds(books, ["shelf", "3"]) is True
    assert contents.holds(books, ["shelf", "31"]) is False


@pytest.mark.django_db(transaction=True)
def test_many_entries_are_estimated_from_a_bounded_scan(
    books: Keyspace[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with remote.client().pipeline(transaction=False) as pipe:
        for number in range(4000):
            pipe.set(f"v:{{{books.name}:0:{number:032x}}}", "x" * 100)
        pipe.execute()
    monkeypatch.setattr(contents, "SCAN_ROUNDS", 2)
    monkeypatch.setattr(contents, "SCAN_COUNT", 500)
    contents.forget()
    found = contents.valkey()
    assert found is not None
    held = found.by_keyspace[books.name]
    assert held.is_estimate
    assert 3000 < held.entries < 5000
    assert 3000 * 100 < held.bytes < 5000 * 300


@pytest.mark.django_db(transaction=True)
def test_with_valkey_away_its_figures_say_so_and_the_others_stay(
    books: Keyspace[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    age = timezone.now() - NOW
    take((-age, Level.L2, 200, 1000, 50))
    monkeypatch.setattr(breaker, "is_open", True)
    contents.forget()
    found = report(now=timezone.now(), only=books.name)
    assert found["valkey"] is None
    assert found["keyspaces"][books.name]["valkey"] is None
    assert found["keyspaces"][books.name]["windows"]["day"]["hit_ratio"] == 1.0
    assert contents.holds(books, ["shelf", "3"]) is None


@pytest.mark.django_db(transaction=True)
def test_the_log_is_never_read_for_the_figures() -> None:
    take((at(0), Level.L1, 3, 1000, 50))
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE caching_accesslog")
    assert figures.overview(now=NOW)[BOOKS.name]["day"].hit_count == 1
    assert AccessMinute.objects.count() == 1
