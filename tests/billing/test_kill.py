"""Processes killed at each step of a call, Valkeys flushed in between: after the reaper each call is posted exactly once.

Like test_race.py, but through the door of all model calls to a provider, and with processes that die meanwhile.
"""

from datetime import timedelta
from itertools import cycle
from pathlib import Path

import pytest
from django.db.models import Q
from django.utils import timezone

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
from tests.billing.killing import Callers, Round, Size, Worker, until_callers_are_gone
from tests.billing.processes.dying import OWN_DEATHS, STEPS
from tests.billing.serial_log import assert_justified, assert_transitions, serial_log, states
from tests.caching.processes.talking import Helper
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

CENT = 10**7
# A cent each thousand tokens: calls hold one to three cents and a little, and cost far less.
NANOS_PER_MILLION = CENT * 1000
MOST_TOKENS = (1000, 2000, 3000)
# Those of a call's states that a process leaves behind by dying at its own step; None: it was not even opened.
LEFT = {
    "before reserve": None,
    "after reserve": Reservation.State.OPEN,
    "in the stream": Reservation.State.OPEN,
    "before settle": Reservation.State.OPEN,
    "after settle": Reservation.State.SETTLED,
}


# A process asks for some twelve cents: there is room for calls of each, whoever is first, and not for all.
FEW = Size(processes=2, killed=1, calls=6, limit_nanos=20 * CENT)


@pytest.fixture
def choice(fake_provider: FakeProvider) -> Choice:
    """A priced model of the fake provider; it is waited for as long as the gate is shut."""
    book.open_book()
    made = route_to(
        fake_provider,
        max_output_tokens=max(MOST_TOKENS),
        provider__connect_timeout_seconds=600.0,
        provider__read_timeout_seconds=600.0,
    )
    for meter in (Meter.INPUT, Meter.OUTPUT):
        PriceFactory(
            provider_code=made.provider_code,
            model_code=made.model_code,
            meter=meter,
            nanos_per_million_tokens=NANOS_PER_MILLION,
        )
    return made


def test_killed_at_each_step_every_call_is_posted_exactly_once(
    choice: Choice, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    rounds = kill_at_each_step(choice, fake_provider, tmp_path, FEW)
    assert any(one.refused for one in rounds)


def kill_at_each_step(
    choice: Choice, provider: FakeProvider, folder: Path, size: Size
) -> list[Round]:
    """Play a round for each step, each against a budget of its own, then make what was lost anew; compare after each."""
    with Helper("dying", package="tests.billing.processes") as helper:
        callers = Callers(helper, provider, choice)
        rounds = [made(step, callers, folder, size) for step in STEPS]
        for one in rounds:
            play(one)
        # The callers of the dead try again, under the same names: what was paid is not made again, what was lost is.
        Budget.objects.update(limit_nanos=10**15)
        lost = {
            name: call
            for one in rounds
            for worker in one.doomed
            for name, call in worker.calls.items()
            if name not in refused_names(one)
        }
        again = Worker(lost, folder / "again")
        callers.start([again], "Twenty", " days")
        assert callers.ended([again]) == [0]
    for one in rounds:
        assert_each_once(one)
    assert all(bill.request_count == 1 for bill in provider.bills.values())
    assert_books_agree()
    return rounds


def made(step: str, callers: Callers, folder: Path, size: Size) -> Round:
    """Return a round of this step: a department with a budget, and its calls."""
    department = DepartmentFactory()
    Budget.objects.create(
        department=department, limit_nanos=size.limit_nanos, period=Budget.Period.TOTAL
    )
    most = cycle(MOST_TOKENS)
    workers = [
        Worker(
            {str(uuid7()): (str(department.pk), next(most)) for _call in range(size.calls)},
            folder / f"{step} {number}",
            step if number < size.killed and step in OWN_DEATHS else None,
        )
        for number in range(size.processes)
    ]
    return Round(step, size, callers, department, workers)


def play(one: Round) -> None:
    """Make the calls of one round and settle what the dead have left; compare after each."""
    with serial_log():
        one.run()
        until_callers_are_gone()
        assert_left_as_said(one)
        assert reconcile().is_clean
        settle_the_dead()
        assert_nothing_is_lost(one)


def refused_names(one: Round) -> set[str]:
    """Return the names of the calls that were refused."""
    return {call["request"] for call in one.refused}


def settle_the_dead() -> None:
    """Have the reaper come when all that is open has expired."""
    still_open = Reservation.objects.filter(state=Reservation.State.OPEN).count()
    late = timezone.now() + services.RESERVATION_LIFETIME + timedelta(seconds=1)
    settled = 0
    while found := services.settle_expired(at=late):
        settled += found
    assert settled == still_open


def assert_left_as_said(one: Round) -> None:
    """Assert that each of the dead died at the step, by how it has left the call it died of."""
    for worker in one.doomed:
        if one.step in OWN_DEATHS:
            [call] = [told["died"] for told in worker.told if "died" in told]
            found = Reservation.objects.filter(Q(pk=call) | Q(request_id=call)).first()
            assert (found and found.state) == LEFT[one.step]
        elif one.step == "during reserve":
            assert not one.callers.at_provider(worker)
        else:
            assert one.callers.at_provider(worker)
    if one.step == "during the call":
        assert not UsageRecord.objects.filter(
            request_id__in=[name for worker in one.doomed for name in worker.calls]
        ).exists()


def assert_nothing_is_lost(one: Round) -> None:
    """Assert that every call that was opened is posted once, and that the budget was kept all the while."""
    calls = Reservation.objects.filter(department=one.department)
    assert set(calls.values_list("state", flat=True)) == {Reservation.State.SETTLED}
    records = UsageRecord.objects.filter(department=one.department)
    amounts = dict(records.values_list("id", "amount_nanos"))
    most = dict(calls.values_list("id", "max_nanos"))
    assert amounts.keys() == most.keys()

    period, limit = (
        BudgetPeriod.objects.get(budget__department=one.department),
        one.size.limit_nanos,
    )
    history = states(period)
    assert all(state.spent + state.reserved <= limit for state in history)
    assert_transitions(history, [(most[call], amount) for call, amount in amounts.items()])
    assert_justified(one.refused, history, limit=limit)
    assert (period.reserved_nanos, period.spent_nanos) == (0, sum(amounts.values()))

    # Whatever the provider has seen is paid; what nobody can know any more costs what it held.
    posted = {str(name) for name in records.values_list("request_id", flat=True)}
    assert {name for name in one.names if one.callers.has_seen(name)} <= posted
    estimates = records.filter(outcome=Outcome.ESTIMATED).values_list("id", "amount_nanos")
    assert all(amount == most[call] for call, amount in estimates)
    assert_books_agree()


def assert_each_once(one: Round) -> None:
    """Assert that each call has one reservation, one record and one settlement, and a refused one none."""
    granted = sorted(set(one.names) - refused_names(one))
    of_round = {"department": one.department}
    for model in (Reservation, UsageRecord):
        found = model.objects.filter(**of_round).values_list("request_id", flat=True)
        assert sorted(map(str, found)) == granted
    entries = LedgerEntry.objects.filter(**of_round)
    posted = entries.filter(kind=LedgerEntry.Kind.SETTLEMENT)
    assert entries.count() == posted.count() == len(granted)
    assert not any(map(one.callers.has_seen, refused_names(one)))


def assert_books_agree() -> None:
    """Assert that all is balanced, and counted as posted."""
    found = reconcile()
    assert found.is_clean, [one.words for one in found.differences]
    assert found.open_count == 0
    assert found.debit_nanos == found.credit_nanos > 0
