"""Closing a month: what is refused, what is frozen, and that nothing slips between the statement and the next month."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection, connections, transaction

from apps.accounts.models import Department
from apps.billing import calendar
from apps.billing.models import LedgerEntry, MonthClose, Outcome, SharedCost, Statement
from apps.billing.statements.closing import MonthNotClosableError, close_month
from apps.billing.statements.drafting import MonthDraft, draft_month
from apps.billing.statements.report import stated_month
from tests.billing.statements.making import (
    DECEMBER,
    MIDDLE,
    NOVEMBER,
    OCTOBER,
    called,
    corrected,
    opened,
    set_prices,
    settled,
)
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sales(db: None) -> Department:
    """A department, and prices for what it uses."""
    set_prices()
    return DepartmentFactory(code="sales", name="Sales")


def refused(starts_at: datetime = NOVEMBER, **options: Any) -> str:
    with pytest.raises(MonthNotClosableError) as caught:
        close_month(starts_at=starts_at, **options)
    assert not MonthClose.objects.filter(starts_at=starts_at).exists()
    assert not Statement.objects.filter(month__starts_at=starts_at).exists()
    return str(caught.value)


def ledger_nanos(starts_at: datetime = NOVEMBER, ends_at: datetime = DECEMBER) -> int:
    """What all departments owe by the ledger, summed the plain way."""
    total = 0
    for entry in LedgerEntry.objects.filter(booked_at__gte=starts_at, booked_at__lt=ends_at):
        is_charge = entry.debit.startswith(("department:", "overdraft:"))
        total += entry.amount_nanos if is_charge else -entry.amount_nanos
    return total


def test_each_department_gets_a_frozen_statement_of_what_it_used(sales: Department) -> None:
    support = DepartmentFactory(code="support", name="Support")
    DepartmentFactory(code="idle", name="Idle")
    calls = [
        called(sales, usage={"input_tokens": 1001, "cached_input_tokens": 7, "output_tokens": 3}),
        called(sales, usage={"input_tokens": 5}, at=DECEMBER - timedelta(microseconds=1)),
        called(sales, usage={"audio_ms": 1234}, purpose="TITLE"),
        called(support, usage={"cache_write_tokens": 9, "embedding_tokens": 11}, at=NOVEMBER),
    ]
    called(sales, at=DECEMBER)
    called(sales, at=OCTOBER + timedelta(days=3))
    close_month(starts_at=OCTOBER)
    month = close_month(starts_at=NOVEMBER)

    statements = {one.department_code: one for one in month.statements.all()}
    assert set(statements) == {"sales", "support"}
    lines = {line["purpose"]: line for line in statements["sales"].lines}
    assert lines["ANSWER"]["call_count"] == 2
    assert lines["ANSWER"]["tokens"] == {"INPUT": 1006, "CACHE_READ": 7, "OUTPUT": 3}
    assert lines["ANSWER"]["amount_nanos"] == calls[0].amount_nanos + calls[1].amount_nanos
    assert lines["TITLE"]["tokens"] == {"AUDIO": 1234}
    [line] = statements["support"].lines
    assert line["tokens"] == {"CACHE_WRITE": 9, "EMBEDDING": 11}
    total = sum(one.total_nanos for one in statements.values())
    assert total == sum(call.amount_nanos for call in calls) == ledger_nanos()
    assert all(one.currency == "USD" for one in statements.values())


def test_corrections_and_late_usage_are_lines_of_the_month_they_are_booked_in(
    sales: Department,
) -> None:
    call = called(sales, at=OCTOBER)
    lost = opened(sales, at=OCTOBER)
    settled(lost.reservation_id, outcome=Outcome.ESTIMATED, at=OCTOBER, input_tokens=9000)
    settled(lost.reservation_id, at=MIDDLE, input_tokens=1000)
    corrected(sales, 700, call_id=call.usage_record_id)
    corrected(sales, -2_000_000)
    close_month(starts_at=OCTOBER)
    close_month(starts_at=NOVEMBER)
    october, november = Statement.objects.order_by("month__starts_at")
    assert october.adjustments == []
    assert october.total_nanos == ledger_nanos(OCTOBER, NOVEMBER)
    kinds = [(line["kind"], line["amount_nanos"]) for line in november.adjustments]
    assert kinds[:2] == [("CORRECTION", 700), ("CORRECTION", -2_000_000)]
    assert kinds[2][0] == "TRUE_UP"
    assert kinds[2][1] < 0
    assert november.lines == []
    assert november.total_nanos == november.adjustments_nanos == ledger_nanos()
    assert november.adjustments[0]["call_id"] == str(call.usage_record_id)


def shared_cost(**fields: Any) -> SharedCost:
    return SharedCost.objects.create(
        **{"name": "Platform", "method": "EVEN", "starts_on": date(2025, 11, 1), **fields}
    )


def test_shared_costs_are_on_every_statement_also_where_nothing_was_used(sales: Department) -> None:
    DepartmentFactory(code="idle", name="Idle")
    shared_cost(amount_nanos=1001)
    shared_cost(name="Over", amount_nanos=50, starts_on=date(2025, 1, 1), ends_on=date(2025, 10, 9))
    shared_cost(name="To come", amount_nanos=50, starts_on=date(2025, 12, 1))
    call = called(sales)
    close_month(starts_at=NOVEMBER)
    idle, own = Statement.objects.order_by("department_code")
    assert (idle.shared_nanos, own.shared_nanos) == (501, 500)
    assert (idle.lines, idle.total_nanos) == ([], 501)
    assert [line["name"] for line in own.shared] == ["Platform"]
    assert own.total_nanos == call.amount_nanos + 500
    assert idle.total_nanos + own.total_nanos == ledger_nanos() + 1001


def test_a_departments_cost_moves_and_the_sum_of_all_statements_stays(sales: Department) -> None:
    library = DepartmentFactory(code="library", name="Library")
    support = DepartmentFactory(code="support", name="Support")
    called(library, usage={"embedding_tokens": 12_345})
    corrected(library, -300)
    called(sales)
    called(support, usage={"output_tokens": 777})
    shared_cost(name="Documents", method="PROPORTIONAL", source_department=library)
    shared_cost(amount_nanos=10**9)
    month = close_month(starts_at=NOVEMBER)
    by_code = {one.department_code: one for one in month.statements.all()}
    assert by_code["library"].total_nanos == 0
    assert [line["is_source"] for line in by_code["library"].shared] == [True]
    assert sum(one.total_nanos for one in by_code.values()) == ledger_nanos() + 10**9


def test_a_rule_that_names_nobody_stops_the_close(sales: Department) -> None:
    called(sales)
    shared_cost(amount_nanos=5, method="FIXED", shares={"gone": 1})
    assert "gone" in refused()


def test_a_month_that_is_not_over_stays_open(sales: Department) -> None:
    called(sales)
    said = refused(at=DECEMBER - timedelta(seconds=1))
    assert "November 2025 is not over" in said
    assert "1 December 2025" in said
    running = calendar.month_of(datetime.now(UTC))[0]
    assert "is not over" in refused(running)


def test_open_calls_are_counted_and_it_is_said_what_to_do(sales: Department) -> None:
    calls = [opened(sales), opened(sales)]
    opened(sales, at=DECEMBER)
    said = refused()
    assert said.startswith("2 calls opened in the month have not ended")
    assert "billing_release_stale" in said
    for call in calls:
        settled(call.reservation_id)
    close_month(starts_at=NOVEMBER)


def test_months_close_in_order_and_those_without_cost_need_no_close(sales: Department) -> None:
    called(sales, at=datetime(2025, 8, 3, tzinfo=UTC))
    called(sales)
    assert "August 2025" in refused()
    close_month(starts_at=datetime(2025, 8, 1, tzinfo=UTC))
    close_month(starts_at=NOVEMBER)
    # September and October had none: the close of November shut them, too.
    assert "all that came before" in refused(OCTOBER)


def test_a_month_with_shared_costs_only_is_one_with_cost(sales: Department) -> None:
    called(sales, at=OCTOBER)
    close_month(starts_at=OCTOBER)
    shared_cost(amount_nanos=9)
    called(sales, at=DECEMBER)
    assert "November 2025" in refused(DECEMBER)
    close_month(starts_at=NOVEMBER)
    close_month(starts_at=DECEMBER)
    assert Statement.objects.filter(month__starts_at=NOVEMBER).get().total_nanos == 9


def test_records_that_differ_from_the_ledger_stop_the_close(sales: Department) -> None:
    call = called(sales)
    LedgerEntry.objects.create(
        kind=LedgerEntry.Kind.EXCESS,
        reservation_id=call.usage_record_id,
        department=sales,
        debit=f"overdraft:{sales.pk}",
        credit="provider:provider",
        amount_nanos=1,
        booked_at=MIDDLE,
        posted_at=MIDDLE,
    )
    said = refused()
    assert f"usage records add up to {call.amount_nanos} nanos" in said
    assert f"the ledger says {call.amount_nanos + 1}" in said


def test_an_entry_with_another_departments_account_stops_the_close(sales: Department) -> None:
    called(sales)
    LedgerEntry.objects.create(
        kind=LedgerEntry.Kind.CORRECTION,
        department=sales,
        debit=f"department:{DepartmentFactory().pk}",
        credit="adjustments",
        amount_nanos=1,
        booked_at=MIDDLE,
        posted_at=MIDDLE,
        reason="misdirected",
    )
    assert "Sales: 1 ledger entry" in refused()


def test_closing_again_changes_nothing(sales: Department) -> None:
    called(sales)
    first = close_month(starts_at=NOVEMBER)
    DepartmentFactory(code="late")
    shared_cost(amount_nanos=5)
    second = close_month(starts_at=NOVEMBER)
    assert (second.pk, second.closed_at) == (first.pk, first.closed_at)
    assert Statement.objects.count() == 1


def test_a_statement_outlives_the_names_it_was_made_with(sales: Department) -> None:
    called(sales)
    close_month(starts_at=NOVEMBER)
    sales.code, sales.name = "trade", "Trade"
    sales.save(update_fields=["code", "name"])
    statement = Statement.objects.get()
    assert (statement.department_code, statement.department_name) == ("sales", "Sales")


@pytest.mark.parametrize("table", ["billing_statement", "billing_monthclose"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = id", "DELETE FROM {}"])
def test_what_is_frozen_cant_be_changed(sales: Department, table: str, change: str) -> None:
    called(sales)
    close_month(starts_at=NOVEMBER)
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="append-only"):
        cursor.execute(change.format(table))
    assert Statement.objects.count() == MonthClose.objects.count() == 1


def test_nothing_is_opened_or_booked_in_a_closed_month_or_before_it(sales: Department) -> None:
    called(sales)
    close_month(starts_at=NOVEMBER)
    for moment in (MIDDLE, DECEMBER - timedelta(microseconds=1), OCTOBER):
        with pytest.raises(DatabaseError, match="is closed"), transaction.atomic():
            corrected(sales, 5, at=moment)
        with pytest.raises(DatabaseError, match="is closed"):
            opened(sales, at=moment)
    corrected(sales, 5, at=DECEMBER)
    called(sales, at=DECEMBER)


def test_late_usage_of_a_closed_month_counts_in_the_open_one(sales: Department) -> None:
    lost = opened(sales)
    settled(lost.reservation_id, outcome=Outcome.ESTIMATED, input_tokens=9000)
    close_month(starts_at=NOVEMBER)
    settled(lost.reservation_id, at=MIDDLE, input_tokens=1000)
    entry = LedgerEntry.objects.get(kind="TRUE_UP")
    assert entry.booked_at > DECEMBER
    assert ledger_nanos() == Statement.objects.get().total_nanos


def test_a_month_is_that_of_the_billing_time_zone(sales: Department, settings: Any) -> None:
    settings.BILLING_TIME_ZONE = "Pacific/Auckland"
    starts_at = datetime(2025, 11, 1, tzinfo=calendar.zone())
    before = called(sales, at=starts_at - timedelta(seconds=1))
    inside = called(sales, at=starts_at)
    last = called(
        sales, at=calendar.next_month(starts_at) - timedelta(seconds=1), usage={"audio_ms": 7}
    )
    close_month(starts_at=calendar.previous_month(starts_at))
    month = close_month(starts_at=starts_at)
    assert month.statements.get().total_nanos == inside.amount_nanos + last.amount_nanos
    assert str(MonthClose.objects.get(pk=month.pk)) == "2025-11"
    assert Statement.objects.exclude(month=month).get().total_nanos == before.amount_nanos


def test_an_open_month_can_be_looked_at(sales: Department) -> None:
    call = called(sales)
    opened(sales)
    month = stated_month(starts_at=NOVEMBER, at=DECEMBER)
    assert (month.is_closed, month.total_nanos) == (False, call.amount_nanos)
    assert "has not ended" in month.obstacles[0]
    assert not Statement.objects.exists()


# Others at the same time


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], Any]], threading.Thread]]:
    """Runs something on a thread, with connections of its own."""
    threads: list[threading.Thread] = []
    errors: list[BaseException] = []

    def start(act: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - told to the test below
                errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.join()
    assert errors == []


def wait_until_blocked(count: int = 1) -> None:
    """Wait until so many connections wait for a lock."""
    waiting = 0
    while waiting < count:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            [waiting] = cursor.fetchone()


def test_a_correction_under_way_is_waited_for_and_is_on_the_statement(
    sales: Department, elsewhere: Callable[[Callable[[], Any]], threading.Thread]
) -> None:
    called(sales)
    with transaction.atomic():
        corrected(sales, 123)
        closer = elsewhere(lambda: close_month(starts_at=NOVEMBER))
        wait_until_blocked()
    closer.join()
    assert Statement.objects.get().adjustments_nanos == 123


def test_a_booking_that_comes_while_it_closes_finds_the_month_closed(
    sales: Department,
    elsewhere: Callable[[Callable[[], Any]], threading.Thread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called(sales)
    read, booked = threading.Event(), threading.Event()

    def slow_draft(**options: Any) -> MonthDraft:
        made = draft_month(**options)
        read.set()
        booked.wait()
        return made

    monkeypatch.setattr("apps.billing.statements.closing.draft_month", slow_draft)
    closer = elsewhere(lambda: close_month(starts_at=NOVEMBER))
    refusals: list[str] = []

    def book() -> None:
        with pytest.raises(DatabaseError, match="is closed") as caught:
            corrected(sales, 5)
        refusals.append(str(caught.value))

    read.wait()
    booker = elsewhere(book)
    wait_until_blocked()
    # Calls of the running month go on meanwhile.
    now = called(sales, at=datetime.now(UTC))
    booked.set()
    closer.join()
    booker.join()
    assert refusals
    assert now.amount_nanos
    assert ledger_nanos() == Statement.objects.get().total_nanos


def test_two_that_close_at_once_make_one_set_of_statements(
    sales: Department, elsewhere: Callable[[Callable[[], Any]], threading.Thread]
) -> None:
    called(sales)
    closers = [elsewhere(lambda: close_month(starts_at=NOVEMBER)) for _ in range(3)]
    for closer in closers:
        closer.join()
    assert (MonthClose.objects.count(), Statement.objects.count()) == (1, 1)


def test_a_call_settled_while_it_closes_is_on_the_statement_or_stops_it(
    sales: Department, elsewhere: Callable[[Callable[[], Any]], threading.Thread]
) -> None:
    calls = [opened(sales) for _ in range(12)]
    gate = threading.Barrier(2)
    refusals: list[str] = []

    def settle_all() -> None:
        gate.wait()
        for call in calls:
            settled(call.reservation_id)

    def close() -> None:
        gate.wait()
        while not MonthClose.objects.exists():
            try:
                close_month(starts_at=NOVEMBER)
            except MonthNotClosableError as error:
                refusals.append(str(error))

    threads = [elsewhere(settle_all), elsewhere(close)]
    for thread in threads:
        thread.join()
    statement = Statement.objects.get()
    assert sum(line["call_count"] for line in statement.lines) == 12
    assert statement.total_nanos == ledger_nanos()
    assert all("not ended" in refusal for refusal in refusals)


def test_the_last_moment_of_a_month_is_the_databases(sales: Department) -> None:
    called(sales)
    with time_machine.travel(MIDDLE):
        close_month(starts_at=NOVEMBER)
    assert MonthClose.objects.exists()
