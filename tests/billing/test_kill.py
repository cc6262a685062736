"""Processes killed at each step of a call, Valkey flushed in between: after the reaper each call is posted exactly once."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import Department
from apps.billing import book, services
from apps.billing.models import (
    Budget,
    BudgetPeriod,
    LedgerEntry,
    Meter,
    Outcome,
    Reservation,
    UsageRecord,
)
from apps.billing.reconcile import reconcile
from apps.core.ids import uuid7
from apps.llm.types import Choice
from tests.billing.processes.dying import KILLINGS, STEPS
from tests.caching.processes.talking import Helper
from tests.factories.billing import PriceFactory
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider, Gate, Script

pytestmark = pytest.mark.django_db(transaction=True)

KILLED = -9
CALLS_A_STEP = 2


class Calls:
    """Makes calls of one department in processes of their own."""

    def __init__(self, helper: Helper, choice: Choice, department: Department) -> None:
        self.helper = helper
        self.choice = choice
        self.department = department

    def start(self, request_id: UUID, *, die_at: str | None) -> int:
        """Begin a call; return its process."""
        pid: int = self.helper.ask(
            "start",
            llm_model=str(self.choice.llm_model_id),
            department=str(self.department.pk),
            request=str(request_id),
            die_at=die_at,
        )
        return pid

    def end(self, pid: int) -> int:
        """Wait for the process; return how it ended."""
        code: int = self.helper.ask("wait", child=pid)
        return code


@pytest.fixture
def calls(fake_provider: FakeProvider, department: Department) -> Iterator[Calls]:
    """A priced model, a budget, and the helper that forks callers."""
    book.open_book()
    choice = route_to(fake_provider)
    for meter in (Meter.INPUT, Meter.OUTPUT):
        PriceFactory(
            provider_code=choice.provider_code,
            model_code=choice.model_code,
            meter=meter,
            nanos_per_million_tokens=10**9,
        )
    Budget.objects.create(department=department, limit_nanos=10**15)
    with Helper("dying", package="tests.billing.processes") as helper:
        yield Calls(helper, choice, department)


def until(condition: Callable[[], Any]) -> None:
    """Wait until it is so."""
    while not condition():
        time.sleep(0.002)


def callers(condition: str) -> int:
    """Return how many other connections to this database run a billing function and are so."""
    with connection.cursor() as cursor:
        # A transaction would go on seeing what it saw first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND pid <> pg_backend_pid() AND strpos(query, ' FROM billing_') > 0 AND {condition}"
        )
        [count] = cursor.fetchone()
    return int(count)


def waiting_count() -> int:
    """Return how many callers PostgreSQL keeps waiting for a row."""
    return callers("wait_event_type = 'Lock'")


@contextmanager
def budget_held() -> Iterator[None]:
    """Keep whoever wants to hold or free an amount of a budget waiting."""
    with transaction.atomic():
        list(BudgetPeriod.objects.select_for_update())
        yield


def killed_at(step: str, calls: Calls, provider: FakeProvider, request_ids: list[UUID]) -> None:
    """Make these calls and have all their processes killed at this step."""
    if step not in KILLINGS:
        pids = [calls.start(request_id, die_at=step) for request_id in request_ids]
        assert {calls.end(pid) for pid in pids} == {KILLED}
        return
    gates = [Gate() for _request in request_ids]
    for request_id, gate in zip(request_ids, gates, strict=True):
        steps = ("Twenty", " days") if step == "during reserve" else (gate, "Twenty", " days")
        provider.will_do(f"{request_id}/1", Script(steps=steps))
    if step == "during reserve":
        with budget_held():
            pids = [calls.start(request_id, die_at=None) for request_id in request_ids]
            until(lambda: waiting_count() == len(pids))
            kill(pids, calls)
        return
    pids = [calls.start(request_id, die_at=None) for request_id in request_ids]
    for gate in gates:
        gate.was_reached.wait()
    if step == "during settle":
        with budget_held():
            for gate in gates:
                gate.open()
            until(lambda: waiting_count() == len(pids))
            kill(pids, calls)
        return
    kill(pids, calls)
    for gate in gates:
        gate.open()


def kill(pids: list[int], calls: Calls) -> None:
    """Kill the processes wherever they are."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert {calls.end(pid) for pid in pids} == {KILLED}


def flush_valkeys() -> None:
    """Empty the cache's and the state's."""
    for url in (settings.CACHE_URL, settings.REDIS_URL):
        with redis.Redis.from_url(url) as client:
            client.flushall()


def until_callers_are_gone() -> None:
    """Wait until what PostgreSQL did for the killed is done or undone."""
    until(lambda: callers("state <> 'idle'") == 0)


def test_killed_at_each_step_every_call_is_posted_exactly_once(
    calls: Calls, fake_provider: FakeProvider
) -> None:
    by_step = {step: [uuid7() for _call in range(CALLS_A_STEP)] for step in STEPS}
    for step, request_ids in by_step.items():
        killed_at(step, calls, fake_provider, request_ids)
        flush_valkeys()
    until_callers_are_gone()
    assert_nothing_is_lost(by_step, fake_provider)
    # The callers try again, under the same names: what was paid is not made again, what was not sent is made now.
    for request_ids in by_step.values():
        for request_id in request_ids:
            calls.end(calls.start(request_id, die_at=None))
    assert_each_once([one for request_ids in by_step.values() for one in request_ids])
    assert all(bill.request_count == 1 for bill in fake_provider.bills.values())
    assert reconcile().is_clean


def assert_nothing_is_lost(by_step: dict[str, list[UUID]], provider: FakeProvider) -> None:
    """Assert what the killed have left, and that the reaper ends it."""
    open_ids = set(
        Reservation.objects.filter(state=Reservation.State.OPEN).values_list(
            "request_id", flat=True
        )
    )
    for step in ("after reserve", "during the call", "in the stream", "before settle"):
        assert open_ids >= set(by_step[step]), step
    assert reconcile().is_clean
    late = timezone.now() + services.RESERVATION_LIFETIME + timedelta(seconds=1)
    assert services.settle_expired(at=late) == len(open_ids)
    assert services.settle_expired(at=late) == 0

    found = reconcile()
    assert found.is_clean, [one.words for one in found.differences]
    assert found.open_count == 0
    assert found.debit_nanos == found.credit_nanos > 0
    period = BudgetPeriod.objects.get()
    amounts = UsageRecord.objects.values_list("amount_nanos", flat=True)
    assert (period.reserved_nanos, period.spent_nanos) == (0, sum(amounts))
    # Whatever the provider has seen is paid; what it never saw, only where it could have.
    posted = {str(one) for one in UsageRecord.objects.values_list("request_id", flat=True)}
    assert {name.partition("/")[0] for name in provider.bills} <= posted
    assert not posted & {str(one) for one in by_step["before reserve"]}
    exact = UsageRecord.objects.filter(request_id__in=by_step["after settle"])
    assert set(exact.values_list("outcome", flat=True)) == {Outcome.COMPLETED}


def assert_each_once(request_ids: list[UUID]) -> None:
    """Assert that each call has one reservation, one record and one settlement."""
    records = list(UsageRecord.objects.order_by("request_id").values_list("request_id", flat=True))
    assert records == sorted(request_ids)
    entries = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.SETTLEMENT)
    assert entries.count() == Reservation.objects.count() == len(request_ids)
