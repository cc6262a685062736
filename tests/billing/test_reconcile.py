"""`billing_reconcile` finds whatever is changed behind the billing functions' back, says it, and repairs nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.models import Department, User
from apps.billing import book, calendar, services
from apps.billing.costs import upkeep
from apps.billing.models import (
    Budget,
    LedgerEntry,
    Meter,
    MonthClose,
    Outcome,
    Reservation,
    Statement,
    UsageRecord,
)
from apps.billing.reconcile import as_seen_now, reconcile
from apps.billing.types import Usage
from apps.core.ids import uuid7
from tests.factories.billing import PriceFactory, call_context

pytestmark = pytest.mark.django_db

UNIT = 1_000_000


@contextmanager
def behind_its_back() -> Iterator[Callable[..., None]]:
    """Yield a way to run SQL that no trigger and no check of references stops."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor.execute
        cursor.execute("SET LOCAL session_replication_role = origin")


@pytest.fixture
def books(department: Department, owner: User) -> list[UUID]:
    """A settled call of 30 nanos, one of 500 above its hold of 40, one open, one voided, one estimated and put right."""
    book.open_book()
    upkeep.make_partitions()
    PriceFactory(nanos_per_million_tokens=UNIT)
    PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=UNIT)
    Budget.objects.create(department=department, limit_nanos=10**9)
    Budget.objects.create(user=owner, period=Budget.Period.DAY, limit_nanos=10**9)
    ids = []
    for tokens in (30, 540, None, None, 40):
        reserved = services.reserve(
            context=call_context(department_id=department.pk, user_id=owner.pk),
            provider_code="provider",
            model_code="model",
            max_input_tokens=30,
            max_output_tokens=10,
        )
        ids.append(reserved.reservation_id)
        if tokens:
            outcome = Outcome.ESTIMATED if tokens == 40 else Outcome.COMPLETED
            settle(reserved.reservation_id, tokens, outcome)
    services.void(reservation_id=ids[3])
    settle(ids[4], 12, Outcome.COMPLETED)
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_roll_up_v2(2)")
    return ids


def settle(reservation_id: UUID, tokens: int, outcome: Outcome) -> None:
    """Settle a call with so many input tokens, each a nano."""
    services.settle(
        reservation_id=reservation_id, outcome=outcome, usage=Usage(tokens), elapsed_ms=1
    )


def problems() -> set[str]:
    """Return the kinds of problems there are."""
    return set(as_seen_now().counts)


def test_books_made_by_the_billing_functions_agree(
    books: list[UUID], department: Department
) -> None:
    found = as_seen_now()
    assert found.is_clean, [one.words for one in found.differences]
    assert (found.call_count, found.open_count, found.void_count) == (5, 1, 1)
    balances = {one.account: (one.debit_nanos, one.credit_nanos) for one in found.balances}
    assert balances == {
        f"department:{department.pk}": (30 + 40 + 40, 28),
        f"overdraft:{department.pk}": (500, 0),
        "provider:provider": (28, 30 + 40 + 40 + 500),
    }
    assert found.debit_nanos == found.credit_nanos == 638


def test_empty_books_agree() -> None:
    assert as_seen_now().is_clean


TAMPERINGS: dict[str, tuple[str, set[str]]] = {
    "a record is gone": (
        "DELETE FROM billing_usagerecord WHERE id = %(settled)s",
        {"settled_without_record", "total_calls", "total_tokens", "total_amount"},
    ),
    "a record is doubled": (
        (
            "INSERT INTO billing_usagerecord SELECT (jsonb_populate_record(record, jsonb_build_object("
            "'created_at', record.created_at + interval '1 second'))).* FROM billing_usagerecord AS record"
            " WHERE id = %(settled)s"
        ),
        {"record_without_call", "total_calls", "total_tokens", "total_amount"},
    ),
    "a record's amount is changed": (
        "UPDATE billing_usagerecord SET amount_nanos = 29 WHERE id = %(settled)s",
        {"entry_amount", "total_amount"},
    ),
    "a record names another person": (
        "UPDATE billing_usagerecord SET user_id = NULL WHERE id = %(settled)s",
        {"record_of_other", "total_calls", "total_tokens", "total_amount"},
    ),
    "a record of an open call": (
        "UPDATE billing_reservation SET state = 'OPEN', settled_at = NULL, is_rolled_up = false WHERE id = %(settled)s",
        {"record_of_unsettled", "budget_reserved"},
    ),
    "a posting is gone": (
        "DELETE FROM billing_ledgerentry WHERE reservation_id = %(settled)s",
        {"settled_without_entry", "budget_spent"},
    ),
    "a posting's amount is changed": (
        "UPDATE billing_ledgerentry SET amount_nanos = 31 WHERE reservation_id = %(settled)s",
        {"entry_amount", "budget_spent"},
    ),
    "an excess is gone": (
        "DELETE FROM billing_ledgerentry WHERE kind = 'EXCESS'",
        {"entry_amount", "budget_spent"},
    ),
    "an excess is in the settlement": (
        (
            "UPDATE billing_ledgerentry SET amount_nanos = CASE kind WHEN 'EXCESS' THEN 0 ELSE 540 END"
            " WHERE reservation_id = %(exceeding)s"
        ),
        {"entry_split"},
    ),
    "a posting is to another account": (
        "UPDATE billing_ledgerentry SET credit = 'provider:other' WHERE reservation_id = %(settled)s",
        {"entry_of_other"},
    ),
    "an excess is to another account": (
        "UPDATE billing_ledgerentry SET debit = 'overdraft:other' WHERE kind = 'EXCESS'",
        {"entry_of_other"},
    ),
    "a posting is for another month": (
        "UPDATE billing_ledgerentry SET booked_at = booked_at - interval '40 days' WHERE reservation_id = %(settled)s",
        {"entry_at_other_time"},
    ),
    "a posting without a call": (
        (
            "INSERT INTO billing_ledgerentry (id, kind, reservation_id, department_id, debit, credit, amount_nanos, booked_at,"
            " posted_at, reason) SELECT gen_random_uuid(), kind, gen_random_uuid(), department_id, debit, credit, 1, booked_at,"
            " posted_at, '' FROM billing_ledgerentry WHERE kind IN ('SETTLEMENT', 'EXCESS', 'TRUE_UP')"
        ),
        {"entry_without_call"},
    ),
    "a posting of a voided call": (
        "UPDATE billing_ledgerentry SET reservation_id = %(voided)s WHERE reservation_id = %(settled)s",
        {"entry_of_unsettled", "settled_without_entry"},
    ),
    "a correction of nobody": (
        "UPDATE billing_ledgerentry SET credit = 'adjustments' WHERE kind = 'TRUE_UP'",
        {"correction_accounts"},
    ),
    "an ended call without an end": (
        "UPDATE billing_reservation SET settled_at = NULL WHERE id = %(settled)s",
        {"call_state"},
    ),
    "an open call in the totals": (
        "UPDATE billing_reservation SET is_rolled_up = true WHERE id = %(open)s",
        {"call_rolled_up"},
    ),
    "what is spent is off by a nano": (
        "UPDATE billing_budgetperiod SET spent_nanos = spent_nanos + 1 WHERE ends_at - starts_at < interval '2 days'",
        {"budget_spent"},
    ),
    "what is held is off by a nano": (
        "UPDATE billing_budgetperiod SET reserved_nanos = reserved_nanos - 1",
        {"budget_reserved"},
    ),
    "a held period is gone": (
        "DELETE FROM billing_budgetperiod",
        {"budget_reserved"},
    ),
    **{
        f"a row of {table} is off": (f"UPDATE {table} SET {column} = {column} + 1", {problem})
        for table in (
            *("billing_hourlycost", "billing_dailycost", "billing_monthlycost"),
            *("billing_personcost", "billing_personmonthlycost"),
        )
        for column, problem in (
            ("call_count", "total_calls"),
            ("output_tokens", "total_tokens"),
            ("amount_nanos", "total_amount"),
        )
    },
    **{
        f"an amount of {table} is off": (
            f"UPDATE {table} SET amount_nanos = amount_nanos + 1",
            {"total_amount"},
        )
        for table in (
            *("billing_departmentcost", "billing_departmenthourcost", "billing_organisationcost"),
            *("billing_persondaycost", "billing_membercost", "billing_personweekcost"),
        )
    },
    "a call is rolled up twice": (
        "UPDATE billing_reservation SET is_rolled_up = NOT is_rolled_up WHERE state = 'SETTLED'",
        {"total_calls", "total_tokens", "total_amount"},
    ),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_what_is_changed_behind_its_back_is_found(books: list[UUID], what: str) -> None:
    sql, expected = TAMPERINGS[what]
    names = dict(zip(("settled", "exceeding", "open", "voided", "estimated"), books, strict=True))
    with behind_its_back() as run:
        run(sql, names)
    assert problems() == expected


def test_differences_are_said_in_words_to_the_nano(books: list[UUID]) -> None:
    with behind_its_back() as run:
        run("UPDATE billing_usagerecord SET amount_nanos = 29 WHERE id = %s", (books[0],))
    said = [one.words for one in as_seen_now().differences if one.problem == "entry_amount"]
    assert said == [f"Call {books[0]} cost 0.000000029 $ but 0.000000030 $ are posted."]


def test_many_alike_are_counted_and_some_told(department: Department) -> None:
    book.open_book()
    for _number in range(25):
        reserved = services.reserve(
            context=call_context(department_id=department.pk),
            provider_code="provider",
            model_code="model",
            max_input_tokens=1,
            max_output_tokens=0,
        )
        settle(reserved.reservation_id, 1, Outcome.COMPLETED)
    with behind_its_back() as run:
        run("DELETE FROM billing_usagerecord")
    found = as_seen_now()
    assert found.counts == {"settled_without_record": 25}
    assert len(found.differences) == 20


class TestBudgetsThatWereOff:
    """A budget counts nothing while it is off; only what it counted throughout can be proved."""

    def test_a_period_with_gaps_is_not_compared(self, books: list[UUID]) -> None:
        Budget.objects.update(is_enabled=False)
        with behind_its_back() as run:
            run("UPDATE billing_budgetperiod SET spent_nanos = 7")
        assert as_seen_now().is_clean

    def test_switched_on_again_it_is_compared(self, books: list[UUID]) -> None:
        Budget.objects.update(is_enabled=False)
        Budget.objects.update(is_enabled=True)
        with behind_its_back() as run:
            run("UPDATE billing_budgetperiod SET spent_nanos = spent_nanos + 7")
        assert problems() == {"budget_spent"}


class TestRemovedMonths:
    """Where retention removed a month's records, postings and totals stand for them."""

    @pytest.fixture
    def removed(self, department: Department) -> datetime:
        """A call of a month whose partition is then dropped."""
        book.open_book()
        PriceFactory(nanos_per_million_tokens=UNIT)
        Budget.objects.create(department=department, limit_nanos=10**9, period=Budget.Period.TOTAL)
        moment = datetime(2031, 2, 5, tzinfo=UTC)
        upkeep.make_partitions(at=moment)
        reserved = services.reserve(
            context=call_context(department_id=department.pk),
            provider_code="provider",
            model_code="model",
            max_input_tokens=9,
            max_output_tokens=0,
            at=moment,
        )
        settle(reserved.reservation_id, 9, Outcome.COMPLETED)
        with connection.cursor() as cursor:
            cursor.execute("SELECT billing_roll_up_v2(10)")
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("DROP TABLE billing_usagerecord_2031_02")
        return moment.replace(day=1)

    def test_they_are_named_and_agree(self, removed: datetime) -> None:
        found = as_seen_now()
        assert found.is_clean, [one.words for one in found.differences]
        assert found.removed_months == [removed]

    def test_their_postings_are_still_proved(self, removed: datetime) -> None:
        with behind_its_back() as run:
            run("UPDATE billing_ledgerentry SET amount_nanos = amount_nanos + 1")
        assert problems() == {"entry_split", "budget_spent"}


def statement(department: Department, **changes: Any) -> Statement:
    """Close this month by hand, with a statement of what the books say and these changes."""
    starts_at, ends_at = calendar.month_of(timezone.now())
    month = MonthClose.objects.create(
        starts_at=starts_at, ends_at=ends_at, closed_at=timezone.now()
    )
    adjustments = -28 + 100
    fields = {
        "lines": [{"amount_nanos": 600}, {"amount_nanos": 10}],
        "adjustments": [{"amount_nanos": adjustments}],
        "shared": [{"amount_nanos": 5}],
        "usage_nanos": 610,
        "adjustments_nanos": adjustments,
        "shared_nanos": 5,
        "total_nanos": 615 + adjustments,
        **changes,
    }
    return Statement.objects.create(
        month=month,
        department=department,
        department_code=department.code,
        department_name=department.name,
        currency="USD",
        **fields,
    )


@pytest.mark.usefixtures("books")
class TestStatements:
    """A closed month's statement is what the ledger booked into the month."""

    @pytest.fixture(autouse=True)
    def corrected(self, department: Department) -> None:
        """A correction of 100 nanos in this month."""
        services.correct(
            entry_id=uuid7(),
            department_id=department.pk,
            amount_nanos=100,
            is_credit=False,
            reason="agreed",
            author_id=None,
        )

    def test_one_that_adds_up(self, department: Department) -> None:
        statement(department)
        assert as_seen_now().is_clean, [one.words for one in as_seen_now().differences]

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"lines": [{"amount_nanos": 609}]}, "statement_lines"),
            ({"shared": []}, "statement_lines"),
            ({"adjustments": []}, "statement_lines"),
            (
                {"lines": [{"amount_nanos": 611}], "usage_nanos": 611, "total_nanos": 688},
                "statement_usage",
            ),
            (
                {
                    "adjustments": [{"amount_nanos": 73}],
                    "adjustments_nanos": 73,
                    "total_nanos": 688,
                },
                "statement_adjustments",
            ),
        ],
    )
    def test_one_that_does_not(
        self, department: Department, changes: dict[str, Any], problem: str
    ) -> None:
        statement(department, **changes)
        assert problems() == {problem}

    def test_one_that_is_missing(self, department: Department) -> None:
        starts_at, ends_at = calendar.month_of(timezone.now())
        MonthClose.objects.create(starts_at=starts_at, ends_at=ends_at, closed_at=timezone.now())
        assert problems() == {"statement_missing"}


def ran(command: str, *arguments: str) -> tuple[str, int]:
    """Return what a command printed, and its exit code."""
    printed = StringIO()
    try:
        call_command(command, *arguments, stdout=printed)
    except SystemExit as end:
        return printed.getvalue(), int(end.code or 0)
    return printed.getvalue(), 0


@pytest.mark.django_db(transaction=True)
class TestCommands:
    """What an operator sees; exit code 1 is for cron."""

    def test_books_that_agree(self, books: list[UUID], department: Department) -> None:
        printed, code = ran("billing_reconcile")
        assert code == 0
        assert "5 ledger entries, 5 calls (1 open, 0 of them overdue, 1 never sent)" in printed
        assert f"department:{department.pk}" in printed
        assert "The books agree." in printed

    def test_books_that_do_not(self, books: list[UUID]) -> None:
        before = list(LedgerEntry.objects.order_by("pk").values_list("pk", "amount_nanos"))
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("UPDATE billing_budgetperiod SET spent_nanos = spent_nanos + 1")
            cursor.execute("DELETE FROM billing_usagerecord WHERE id = %s", (books[0],))
            cursor.execute("SET session_replication_role = origin")
        printed, code = ran("billing_reconcile")
        assert code == 1
        assert f"Call {books[0]} is settled but has no usage record." in printed
        assert "are counted as spent." in printed
        assert "The books do not agree." in printed
        told, code = ran("billing_reconcile", "--json")
        found = json.loads(told)
        assert code == 1
        assert not found["is_clean"]
        assert found["counts"]["budget_spent"] == 2
        assert found["debit_nanos"] == found["credit_nanos"] == 638
        # Nothing was repaired.
        assert before == list(LedgerEntry.objects.order_by("pk").values_list("pk", "amount_nanos"))
        assert reconcile().counts == found["counts"]

    def test_stale_calls_are_settled_now_and_once(self, department: Department) -> None:
        book.open_book()
        for age in (2, 2, 0):
            services.reserve(
                context=call_context(department_id=department.pk),
                provider_code="provider",
                model_code="model",
                max_input_tokens=1,
                max_output_tokens=1,
                at=timezone.now() - timedelta(hours=age),
            )
        assert json.loads(ran("billing_release_stale", "--json")[0]) == {"settled_count": 2}
        assert ran("billing_release_stale")[0] == "0 expired calls were settled at estimates.\n"
        assert set(UsageRecord.objects.values_list("outcome", flat=True)) == {Outcome.ESTIMATED}
        assert Reservation.objects.filter(state=Reservation.State.OPEN).count() == 1
        assert "3 calls (1 open, 0 of them overdue" in ran("billing_reconcile")[0]
