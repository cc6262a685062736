"""Many readers, one compute: over threads, tasks and processes, when the leader dies, fails, or is early."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.caching import keyspaces, listener, local, outbox, remote, store
from tests.caching.processes.crowds import KEY, PROCESSES, THREADS, expire, rush
from tests.caching.processes.crowds import crowd as crowd
from tests.caching.processes.spaces import STAMPEDED, declared
from tests.caching.processes.talking import Helper
from tests.caching.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    with declared(STAMPEDED):
        yield


@pytest.fixture
def computes() -> Iterator[Path]:
    """A file with one byte for each compute of all processes."""
    with tempfile.NamedTemporaryFile() as file:
        yield Path(file.name)


def test_eight_hundred_threads_compute_an_expired_key_once(
    crowd: Callable[[], list[Helper]], computes: Path
) -> None:
    helpers = crowd()
    expire()
    rush(helpers, computes, seconds=0.3, leader="lives")
    for result in [helper.hear() for helper in helpers]:
        assert result["values"] == ["computed"]
        assert result["errors"] == 0
    assert computes.stat().st_size == 1


def test_eight_hundred_tasks_compute_an_expired_key_once(
    crowd: Callable[[], list[Helper]], computes: Path
) -> None:
    helpers = crowd()
    expire()
    rush(helpers, computes, "arun", seconds=0.3)
    for result in [helper.hear() for helper in helpers]:
        assert result["values"] == ["computed"]
    assert computes.stat().st_size == 1


def test_when_the_leader_is_killed_one_other_computes(
    crowd: Callable[[], list[Helper]], computes: Path
) -> None:
    helpers = crowd()
    expire()
    rush(helpers, computes, seconds=0.1, leader="dies")
    until(lambda: any(helper.process.poll() is not None for helper in helpers))
    survivors = [helper for helper in helpers if helper.process.poll() is None]
    assert len(survivors) == PROCESSES - 1
    for result in [helper.hear() for helper in survivors]:
        assert result["values"] == ["computed"]
        assert result["errors"] == 0
    assert computes.stat().st_size <= 2


def test_when_the_compute_fails_no_process_tries_it_twice(
    crowd: Callable[[], list[Helper]], computes: Path
) -> None:
    helpers = crowd()
    expire()
    rush(helpers, computes, seconds=0.1, leader="fails")
    for result in [helper.hear() for helper in helpers]:
        assert result["values"] == []
        assert result["errors"] == THREADS
    assert computes.stat().st_size <= PROCESSES


def costly() -> str:
    """Compute "first" in a millisecond: what costs less than one microsecond is never refreshed early."""
    time.sleep(0.001)
    return "first"


def test_an_early_refresh_goes_on_in_the_background_once() -> None:
    eager = replace(STAMPEDED, name="tests:eager:1", beta=1e9)
    may_end, calls = threading.Event(), list[str]()

    def compute() -> str:
        calls.append(threading.current_thread().name)
        if len(calls) == 1:
            return costly()
        may_end.wait()
        return "second"

    with declared(eager):
        assert store.get_or_compute(eager, KEY, compute) == "first"
        for _again in range(20):
            assert store.get_or_compute(eager, KEY, compute) == "first"
        until(lambda: len(calls) == 2)
        assert calls[1] != calls[0] == threading.current_thread().name
        may_end.set()
        until(lambda: store.get_or_compute(eager, KEY, lambda: "second") == "second")


def test_an_early_refresh_that_was_overtaken_by_a_change_is_not_kept() -> None:
    eager = replace(STAMPEDED, name="tests:eager:1", beta=1e9)
    is_computing, may_end, is_over = threading.Event(), threading.Event(), threading.Event()

    def refresh() -> str:
        is_computing.set()
        may_end.wait()
        is_over.set()
        return "from before the change"

    with declared(eager):
        assert store.get_or_compute(eager, KEY, costly) == "first"
        assert store.get_or_compute(eager, KEY, refresh) == "first"
        is_computing.wait()
        store.invalidate(eager, KEY)
        assert store.get_or_compute(eager, KEY, lambda: "changed") == "changed"
        may_end.set()
        is_over.wait()
        for _again in range(20):
            assert store.get_or_compute(eager, KEY, lambda: "changed") == "changed"


class SourceIsAwayError(Exception):
    """The source of a test's values is away."""


def test_an_old_value_serves_while_computing_fails_and_computing_is_not_tried_by_everybody() -> (
    None
):
    patient = replace(
        STAMPEDED, name="tests:patient:1", ttl_seconds=0.05, stale_if_error_seconds=60
    )
    calls = 0

    def fail() -> str:
        nonlocal calls
        calls += 1
        raise SourceIsAwayError

    with declared(patient):
        assert store.get_or_compute(patient, KEY, lambda: "old") == "old"
        until(lambda: store.get_or_compute(patient, KEY, fail) == "old" and calls)
        for _again in range(50):
            assert store.get_or_compute(patient, KEY, fail) == "old"
        # A try a second, and fifty reads take less than some seconds.
        assert calls < 10


def test_without_an_old_value_the_failure_is_told_and_not_kept_for_long() -> None:
    calls = 0

    def fail() -> str:
        nonlocal calls
        calls += 1
        raise SourceIsAwayError

    listener.ensure()
    until(lambda: local.is_open)
    for _again in range(50):
        with pytest.raises(SourceIsAwayError):
            store.get_or_compute(STAMPEDED, KEY, fail)
    assert calls < 10

    def value() -> str | None:
        try:
            return store.get_or_compute(STAMPEDED, KEY, lambda: "back")
        except SourceIsAwayError:
            return None

    until(lambda: value() == "back")


def test_a_none_is_kept_for_its_own_shorter_time() -> None:
    calls = 0

    def nothing() -> Any:
        nonlocal calls
        calls += 1

    for _again in range(3):
        assert store.get_or_compute(STAMPEDED, KEY, nothing) is None
    assert calls == 1
    (value, _generation, _lease), _arguments = outbox.invalidation(STAMPEDED, KEY)
    left_ms = remote.client().pttl(value)
    assert 0 < left_ms <= STAMPEDED.negative_ttl_seconds * 1000
    # What creates the thing that was missing invalidates.
    store.invalidate(STAMPEDED, KEY)
    assert store.get_or_compute(STAMPEDED, KEY, lambda: "there") == "there"


def test_values_filled_together_do_not_end_together() -> None:
    spread = replace(STAMPEDED, name="tests:spread:1", jitter_ratio=0.1, ttl_seconds=1000)
    with declared(spread):
        for number in range(100):
            store.get_or_compute(spread, (str(number),), lambda: "value")
        names = [
            remote.keys_of(spread.name, 0, keyspaces.digest(spread, (str(number),)))[0]
            for number in range(100)
        ]
        lifetimes = [remote.client().pttl(name) / 1000 for name in names]
    assert max(lifetimes) <= 1000
    assert min(lifetimes) > 880
    assert max(lifetimes) - min(lifetimes) > 50
