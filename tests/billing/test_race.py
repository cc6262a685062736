"""A thousand calls at once against five dollars: not a nano too much is spent, and nobody is refused without reason."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import Department
from apps.billing import book
from apps.billing.models import Budget, BudgetPeriod, LedgerEntry, Reservation, UsageRecord
from apps.billing.reconcile import reconcile
from tests.caching.processes.talking import Helper
from tests.factories.billing import PriceFactory

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = 1000
PROCESSES = 2
FIVE_DOLLARS = 5 * 10**9
# A cent each thousand tokens: calls hold one to three cents, so that about four hundred fit at once.
NANOS_PER_MILLION = 10**10
MOST_TOKENS = [1000, 2000, 3000]
# The clock of the helper and that of PostgreSQL are one, but not read in the same instruction.
CLOCK_SECONDS = 0.005

SERIAL_LOG = """
    CREATE TABLE race_log (number bigserial, at timestamptz, period_id bigint, spent bigint, reserved bigint);
    CREATE FUNCTION race_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO race_log (at, period_id, spent, reserved)
            VALUES (clock_timestamp(), NEW.id, NEW.spent_nanos, NEW.reserved_nanos);
        RETURN NULL;
    END $$;
    CREATE TRIGGER race_log AFTER UPDATE ON billing_budgetperiod FOR EACH ROW EXECUTE FUNCTION race_log();
"""
NO_SERIAL_LOG = """
    DROP TRIGGER race_log ON billing_budgetperiod; DROP FUNCTION race_log; DROP TABLE race_log;
"""


@dataclass(frozen=True)
class State:
    """What a budget's counters were from a moment on."""

    at: float
    spent: int
    reserved: int


@contextmanager
def serial_log() -> Iterator[None]:
    """Write down every state of every budget period, in the order in which they followed each other.

    Each is written while its transaction holds the period's row, so their numbers are in the order of the commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(SERIAL_LOG)
        try:
            yield
        finally:
            cursor.execute(NO_SERIAL_LOG)


def states(period: BudgetPeriod) -> list[State]:
    """Return the logged states of a period, from nothing on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM at), spent, reserved FROM race_log WHERE period_id = %s ORDER BY number",
            (period.pk,),
        )
        return [
            State(0.0, 0, 0),
            *(State(float(at), spent, reserved) for at, spent, reserved in cursor),
        ]


def raced(department: Department, *, calls: int, processes: int) -> list[dict[str, Any]]:
    """Have the calls made by several processes, a thread for each, all beginning at one moment."""
    with ExitStack() as stack:
        racers = [
            stack.enter_context(Helper("racer", package="tests.billing.processes"))
            for _process in range(processes)
        ]
        for racer in racers:
            racer.ask("ready")
        starts_at = time.time() + 0.5
        for seed, racer in enumerate(racers):
            racer.tell(
                "run",
                department=str(department.pk),
                calls=calls // processes,
                threads=calls // processes,
                seed=seed,
                most=MOST_TOKENS,
                starts_at=starts_at,
            )
        return [result for racer in racers for result in racer.hear()]


def assert_transitions(history: list[State], granted: list[dict[str, Any]]) -> None:
    """Assert that each granted call was held once and freed once, at its amount, and nothing else happened."""
    holds: Counter[int] = Counter()
    ends: Counter[tuple[int, int]] = Counter()
    for before, after in pairwise(history):
        if after.spent == before.spent and after.reserved > before.reserved:
            holds[after.reserved - before.reserved] += 1
        else:
            ends[before.reserved - after.reserved, after.spent - before.spent] += 1
    assert holds == Counter(call["max"] for call in granted)
    assert ends == Counter((call["max"], call["amount"]) for call in granted)


def assert_justified(refused: list[dict[str, Any]], history: list[State]) -> None:
    """Assert that each refusal tells a state that was true while it was asked, and had no room for the call."""
    when: dict[tuple[int, int], list[int]] = {}
    for index, state in enumerate(history):
        when.setdefault((state.spent, state.reserved), []).append(index)
    for call in refused:
        limit, spent, reserved = call["refused"]
        assert limit == FIVE_DOLLARS
        assert spent + reserved + call["max"] > limit
        begun_at, ended_at = call["times"]
        assert any(
            history[index].at <= ended_at + CLOCK_SECONDS
            # The next state is committed before the one after it begins: till then this one is the newest.
            and (index + 2 >= len(history) or history[index + 2].at >= begun_at - CLOCK_SECONDS)
            for index in when[spent, reserved]
        ), call


def test_a_thousand_calls_at_once_spend_five_dollars_and_no_nano_more(
    department: Department,
) -> None:
    book.open_book()
    PriceFactory(nanos_per_million_tokens=NANOS_PER_MILLION)
    Budget.objects.create(limit_nanos=10**15, period=Budget.Period.TOTAL)
    budget = Budget.objects.create(department=department, limit_nanos=FIVE_DOLLARS)
    period = BudgetPeriod.objects.get(budget=budget)
    with serial_log():
        results = raced(department, calls=CALLS, processes=PROCESSES)
        history = states(period)

    granted = [one for one in results if "amount" in one]
    refused = [one for one in results if "refused" in one]
    assert len(granted) + len(refused) == CALLS
    assert min(len(granted), len(refused)) > CALLS / 20
    assert all(state.spent + state.reserved <= FIVE_DOLLARS for state in history)
    assert_transitions(history, granted)
    assert_justified(refused, history)

    period.refresh_from_db()
    spent = sum(call["amount"] for call in granted)
    assert (period.spent_nanos, period.reserved_nanos) == (spent, 0)
    # Refused calls left nothing behind.
    assert Reservation.objects.count() == UsageRecord.objects.count() == len(granted)
    assert LedgerEntry.objects.count() == len(granted)
    assert reconcile().is_clean
