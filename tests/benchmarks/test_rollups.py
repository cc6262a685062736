"""Adding calls to the totals in batches is at least five times as quick as one by one, in the same run."""

import statistics
import time
from collections.abc import Callable

import pytest

from apps.billing.costs import rollups
from apps.billing.models import UsageRecord
from tests.load.usage_rows import Sizes, load

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

CALLS = 1000
ROUNDS = 5
AT_LEAST = 5


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def one_by_one() -> None:
    for _ in range(CALLS):
        assert rollups.roll_up_batch(limit=1) == 1


def in_a_batch() -> None:
    assert rollups.roll_up_batch(limit=CALLS) == CALLS


def test_a_batch_is_quicker_than_its_calls_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    count = 2 * CALLS * ROUNDS
    load(Sizes(rows=count, months=2, departments=20, people=200, keys=10, waiting=count))
    singles, batches = [], []
    for _ in range(ROUNDS):
        singles.append(seconds(one_by_one))
        batches.append(seconds(in_a_batch))
    assert rollups.roll_up_batch(limit=1) == 0
    one, many = statistics.median(singles), statistics.median(batches)
    with capsys.disabled():
        print(f"\n{UsageRecord.objects.count()} calls added to the totals, {CALLS} at a time")  # noqa: T201 - a benchmark reports
        print(f"one by one {CALLS / one:8.0f} calls/s")  # noqa: T201
        print(f"in a batch {CALLS / many:8.0f} calls/s, {one / many:.1f} times as quick")  # noqa: T201
    assert one / many >= AT_LEAST
