"""What a budget's period begins with, and to the moment when limits count; whatever others do meanwhile."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import product
from typing import TypeVar

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import ApiKey, Department
from apps.billing import book, services
from apps.billing.costs.rollups import roll_up_batch
from apps.billing.errors import BudgetExceededError
from apps.billing.models import Budget, BudgetIncrease, Outcome
from apps.billing.types import Reserved, Usage
from tests.billing.killing import until, waiting_count
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context, settled_call

T = TypeVar("T")


@pytest.fixture(autouse=True)
def price(db: None) -> None:
    """One nano a token."""
    book.open_book()
    PriceFactory(nanos_per_million_tokens=1_000_000)


def reserve(department: Department, tokens: int, **options: object) -> Reserved:
    return services.reserve(
        context=call_context(department_id=department.pk),
        provider_code="provider",
        model_code="model",
        max_input_tokens=tokens,
        max_output_tokens=0,
        **options,  # type: ignore[arg-type]
    )


def settle(reserved: Reserved, tokens: int) -> None:
    services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=tokens),
        elapsed_ms=1,
    )


def open_unseen(department: Department, tokens: int, at: datetime | None = None) -> None:
    """Open a call in the transaction one is in, so that others wait for what it holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT billing_reserve_v2(gen_random_uuid(), gen_random_uuid(), 1::smallint, NULL, %s, NULL, 'chat', NULL,"
            " '{}', 'ANSWER', 'provider', 'model', %s, 0, 'INPUT', 'OUTPUT', 0::smallint, interval '1 hour', %s)",
            (department.pk, tokens, at),
        )


def beside(work: Callable[[], T]) -> "Future[T]":
    """Begin the work in a thread; return when PostgreSQL keeps it waiting, or it is done."""

    def done() -> T:
        try:
            return work()
        finally:
            connection.close()

    threads = ThreadPoolExecutor(1)
    future = threads.submit(done)
    threads.shutdown(wait=False)
    until(lambda: future.done() or waiting_count())
    return future


@pytest.mark.parametrize("period", Budget.Period.values)
def test_a_period_begins_with_excess_and_with_estimates_put_right(
    department: Department, period: str
) -> None:
    above, less, more = (reserve(department, 100) for _call in range(3))
    settle(above, 150)
    services.settle_expired(at=timezone.now() + timedelta(hours=1))
    settle(less, 30)
    settle(more, 120)
    budget = BudgetFactory(department=department, period=period)
    found = budget.periods.get()
    assert (found.spent_nanos, found.reserved_nanos) == (150 + 30 + 120, 0)


def test_a_period_begins_with_the_calls_that_match_all_its_budget_names() -> None:
    """Calls of all payers, each of an amount of its own, today and long ago, some of them in the totals already."""
    departments, people = [DepartmentFactory(), DepartmentFactory()], [UserFactory(), UserFactory()]
    key = ApiKey.objects.create(
        name="key", prefix="abc", secret_hash=b"", owner=people[0], department=departments[0]
    )
    now = timezone.now()
    calls = {}
    for number, (at, *who) in enumerate(
        product((now - timedelta(days=40), now), departments, [*people, None], [key, None])
    ):
        fields = zip(("department_id", "user_id", "api_key_id"), who, strict=True)
        settled_call(
            usage=Usage(input_tokens=2**number),
            at=at,
            **{name: one and one.pk for name, one in fields},
        )
        calls[2**number] = (at, *who)
    roll_up_batch(limit=len(calls) // 2)
    for period, *subject in product(
        Budget.Period.values, [departments[0], None], [people[0], None], [key, None]
    ):
        budget = BudgetFactory(
            period=period, **dict(zip(("department", "user", "api_key"), subject, strict=True))
        )
        begun = budget.periods.get()
        assert begun.spent_nanos == sum(
            amount
            for amount, (at, *who) in calls.items()
            if (period == Budget.Period.TOTAL or at == now)
            and all(asked in (None, one) for asked, one in zip(subject, who, strict=True))
        ), (period, subject)


def test_what_is_spent_leaves_room_for_the_rest_and_not_a_nano_more(department: Department) -> None:
    BudgetFactory(department=department, limit_nanos=100)
    settle(reserve(department, 80), 60)
    with pytest.raises(BudgetExceededError) as caught:
        reserve(department, 41)
    assert (caught.value.refusal.spent_nanos, caught.value.refusal.reserved_nanos) == (60, 0)
    reserve(department, 40)


def test_what_can_cost_nothing_passes_even_where_a_limit_was_passed(department: Department) -> None:
    BudgetFactory(department=department, limit_nanos=100)
    settle(reserve(department, 100), 150)
    assert reserve(department, 0).max_nanos == 0


@pytest.mark.parametrize("period", [Budget.Period.DAY, Budget.Period.MONTH])
def test_a_period_counts_from_its_first_moment(department: Department, period: str) -> None:
    first = BudgetFactory(period=period).periods.get().starts_at
    settle(reserve(department, 10, at=first), 10)
    settle(reserve(department, 5, at=first - timedelta(microseconds=1)), 5)
    assert BudgetFactory(department=department, period=period).periods.get().spent_nanos == 10


def test_an_increase_counts_from_its_beginning_until_just_before_its_end(
    department: Department,
) -> None:
    budget = BudgetFactory(department=department, limit_nanos=100, period=Budget.Period.TOTAL)
    begin = timezone.now()
    end = begin + timedelta(hours=1)
    BudgetIncrease.objects.create(
        budget=budget, amount_nanos=50, starts_at=begin, expires_at=end, reason="-"
    )
    instant = timedelta(microseconds=1)
    for at, fits in ((begin, True), (begin - instant, False), (end - instant, True), (end, False)):
        if fits:
            services.void(reservation_id=reserve(department, 150, at=at).reservation_id)
        else:
            with pytest.raises(BudgetExceededError):
                reserve(department, 150, at=at)


@pytest.mark.django_db(transaction=True)
def test_of_two_calls_at_once_only_one_gets_the_last_room(department: Department) -> None:
    BudgetFactory(department=department, limit_nanos=100)
    with transaction.atomic():
        open_unseen(department, 60)
        waiting = beside(lambda: reserve(department, 60))
    with pytest.raises(BudgetExceededError) as caught:
        waiting.result()
    assert (caught.value.refusal.spent_nanos, caught.value.refusal.reserved_nanos) == (0, 60)


@pytest.mark.django_db(transaction=True)
def test_a_limit_lowered_while_a_call_waits_for_another_counts(department: Department) -> None:
    BudgetFactory(department=department, limit_nanos=100)
    with transaction.atomic():
        open_unseen(department, 1)
        waiting = beside(lambda: reserve(department, 60))
        Budget.objects.update(limit_nanos=50)
    with pytest.raises(BudgetExceededError):
        waiting.result()


@pytest.mark.django_db(transaction=True)
def test_a_budget_made_while_a_call_is_being_opened_begins_with_it(department: Department) -> None:
    with transaction.atomic():
        open_unseen(department, 60)
        making = beside(lambda: BudgetFactory(department=department))
    assert making.result().periods.get().reserved_nanos == 60


@pytest.mark.django_db(transaction=True)
def test_two_first_calls_of_a_period_count_in_one(department: Department) -> None:
    budget = BudgetFactory(department=department, period=Budget.Period.DAY)
    tomorrow = timezone.now() + timedelta(days=1)
    with transaction.atomic():
        open_unseen(department, 10, tomorrow)
        second = beside(lambda: reserve(department, 20, at=tomorrow))
    second.result()
    assert sorted(budget.periods.values_list("reserved_nanos", flat=True)) == [0, 30]
