"""A thousand calls at once against five dollars: not a nano too much is spent, and nobody is refused without reason."""

import pytest

from apps.accounts.models import Department
from apps.billing import book
from apps.billing.models import Budget, BudgetPeriod, LedgerEntry, Reservation, UsageRecord
from apps.billing.reconcile import reconcile
from tests.billing.serial_log import assert_justified, assert_transitions, serial_log, states
from tests.caching.processes.talking import Helper
from tests.factories.billing import PriceFactory

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES = 2
THREADS = 500
FIVE_DOLLARS = 5 * 10**9
# A cent each thousand tokens: calls hold one to three cents, so that about two hundred fifty fit at once.
NANOS_PER_MILLION = 10**10
MOST_TOKENS = [1000, 2000, 3000]


def test_a_thousand_calls_at_once_spend_five_dollars_and_no_nano_more(
    department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the last thread waits long for one of the few connections.
    monkeypatch.setenv("DATABASE_POOL_TIMEOUT", "600")
    book.open_book()
    PriceFactory(nanos_per_million_tokens=NANOS_PER_MILLION)
    Budget.objects.create(limit_nanos=10**15, period=Budget.Period.TOTAL)
    budget = Budget.objects.create(
        department=department, limit_nanos=FIVE_DOLLARS, period=Budget.Period.TOTAL
    )
    period = BudgetPeriod.objects.get(budget=budget)
    with serial_log(), Helper("racer", package="tests.billing.processes") as racer:
        results = racer.ask(
            "run",
            department=str(department.pk),
            processes=PROCESSES,
            threads=THREADS,
            most=MOST_TOKENS,
        )
        history = states(period)

    granted = [(one["max"], one["amount"]) for one in results if "amount" in one]
    refused = [one for one in results if "refused" in one]
    assert len(granted) + len(refused) == PROCESSES * THREADS
    assert min(len(granted), len(refused)) > len(results) / 20
    assert all(state.spent + state.reserved <= FIVE_DOLLARS for state in history)
    assert_transitions(history, granted)
    assert_justified(refused, history, limit=FIVE_DOLLARS)

    period.refresh_from_db()
    spent = sum(amount for _most, amount in granted)
    assert (period.spent_nanos, period.reserved_nanos) == (spent, 0)
    # Refused calls left nothing behind.
    assert Reservation.objects.count() == UsageRecord.objects.count() == len(granted)
    assert LedgerEntry.objects.count() == len(granted)
    assert reconcile().is_clean
