"""Which calls a budget counts, holds and refuses."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.accounts.models import ApiKey, User
from apps.billing import services
from apps.billing.budgets.state import states
from apps.billing.errors import BudgetExceededError
from apps.billing.models import Budget, BudgetIncrease, BudgetPeriod, Outcome, Reservation
from apps.billing.types import Refusal, Reserved, Thrift, Usage
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context, settled_call


@pytest.fixture(autouse=True)
def price(db: None) -> None:
    """One nano a token."""
    PriceFactory(nanos_per_million_tokens=1_000_000)


def reserve(tokens: int, *, thrift: Thrift = Thrift.NONE, **fields: object) -> Reserved:
    return services.reserve(
        context=call_context(**fields),
        provider_code="provider",
        model_code="model",
        max_input_tokens=tokens,
        max_output_tokens=0,
        thrift=thrift,
    )


def refused(tokens: int, **fields: object) -> Refusal:
    with pytest.raises(BudgetExceededError) as caught:
        reserve(tokens, **fields)
    return caught.value.refusal


def key_of(owner: User, department_id: UUID) -> ApiKey:
    return ApiKey.objects.create(
        name="robot", prefix="abc", secret_hash=b"x", owner=owner, department_id=department_id
    )


def test_a_call_fits_to_the_last_nano_and_not_one_above() -> None:
    budget = BudgetFactory(limit_nanos=100)
    reserve(60, department_id=budget.department_id)
    refusal = refused(41, department_id=budget.department_id)
    reserve(40, department_id=budget.department_id)
    assert (refusal.limit_nanos, refusal.spent_nanos) == (100, 0)
    assert (refusal.reserved_nanos, refusal.max_nanos) == (60, 41)
    assert (refusal.subject, refusal.is_soft) == ("department", False)
    assert refusal.refills_at == BudgetPeriod.objects.get().ends_at


def test_a_refusal_leaves_nothing_behind_in_any_budget() -> None:
    person = UserFactory()
    department = person.memberships.get().department
    BudgetFactory(department=department, limit_nanos=1000)
    BudgetFactory(department=department, user=person, limit_nanos=10)
    assert refused(11, department_id=department.pk, user_id=person.pk).subject == "person"
    assert not Reservation.objects.exists()
    assert set(BudgetPeriod.objects.values_list("reserved_nanos", flat=True)) == {0}


def test_a_budget_counts_the_calls_that_match_all_it_names() -> None:
    person, other = UserFactory(), UserFactory()
    department = person.memberships.get().department
    key = key_of(person, department.pk)
    budgets = {
        "everybody": BudgetFactory(department=None),
        "department": BudgetFactory(department=department),
        "person": BudgetFactory(department=None, user=person),
        "person there": BudgetFactory(department=department, user=person),
        "key": BudgetFactory(department=None, api_key=key),
        "day": BudgetFactory(department=department, period="DAY"),
        "off": BudgetFactory(department=department, period="TOTAL", is_enabled=False),
    }
    settled_call(department_id=department.pk, user_id=person.pk, api_key_id=key.pk)
    settled_call(department_id=DepartmentFactory().pk, user_id=person.pk)
    settled_call(department_id=department.pk, user_id=other.pk)
    spent = dict(BudgetPeriod.objects.values_list("budget_id", "spent_nanos"))
    assert {name: spent.get(budget.pk) for name, budget in budgets.items()} == {
        "everybody": 3000,
        "department": 2000,
        "person": 2000,
        "person there": 1000,
        "key": 1000,
        "day": 2000,
        "off": None,
    }


def test_a_call_that_can_cost_nothing_is_never_refused() -> None:
    budget = BudgetFactory(limit_nanos=0)
    assert reserve(0, department_id=budget.department_id).max_nanos == 0
    assert refused(1, department_id=budget.department_id).limit_nanos == 0


@pytest.mark.parametrize(
    ("at_limit", "passing"),
    [("REFUSE", {0, 1, 2}), ("CHEAPER_MODEL", {1, 2}), ("CACHED_ONLY", {2})],
)
def test_between_the_limits_only_what_the_budget_chose_passes(
    at_limit: str, passing: set[int]
) -> None:
    budget = BudgetFactory(limit_nanos=100, soft_limit_nanos=50, at_limit=at_limit)
    reserve(50, department_id=budget.department_id)
    for thrift in Thrift:
        if thrift in passing:
            reserve(1, department_id=budget.department_id, thrift=thrift)
        else:
            refusal = refused(1, department_id=budget.department_id, thrift=thrift)
            assert refusal.is_soft
            assert refusal.limit_nanos == 50
    for thrift in Thrift:
        refusal = refused(60, department_id=budget.department_id, thrift=thrift)
        assert refusal.is_soft == (thrift not in passing)


def test_an_increase_counts_while_it_lasts() -> None:
    budget = BudgetFactory(limit_nanos=100, soft_limit_nanos=80, at_limit="CHEAPER_MODEL")
    now = timezone.now()
    BudgetIncrease.objects.create(
        budget=budget,
        amount_nanos=50,
        starts_at=now,
        expires_at=now + timedelta(hours=1),
        reason="trade fair",
    )
    reserve(130, department_id=budget.department_id)
    [state] = states(department_id=budget.department_id, user_id=None)
    assert (state.limit_nanos, state.soft_limit_nanos, state.left_nanos) == (150, 130, 20)
    later = {"department_id": budget.department_id, "user_id": None, "at": now + timedelta(hours=2)}
    [state] = states(**later)
    assert (state.limit_nanos, state.left_nanos) == (100, 0)
    BudgetIncrease.objects.update(expires_at=timezone.now())
    assert refused(1, department_id=budget.department_id).limit_nanos == 80


def test_a_limit_lowered_below_what_is_spent_refuses_and_fails_nothing() -> None:
    budget = BudgetFactory(limit_nanos=100)
    running = reserve(90, department_id=budget.department_id)
    Budget.objects.update(limit_nanos=10)
    assert refused(1, department_id=budget.department_id).limit_nanos == 10
    services.void(reservation_id=running.reservation_id)
    reserve(10, department_id=budget.department_id)


def test_a_budget_made_within_the_month_begins_with_what_the_month_cost_and_holds() -> None:
    department = DepartmentFactory()
    settled_call(department_id=department.pk)
    running = reserve(30, department_id=department.pk)
    budget = BudgetFactory(department=department, limit_nanos=2000)
    period = budget.periods.get()
    assert (period.spent_nanos, period.reserved_nanos) == (1000, 30)
    services.void(reservation_id=running.reservation_id)
    period.refresh_from_db()
    assert (period.spent_nanos, period.reserved_nanos) == (1000, 0)


def test_an_estimate_put_right_after_a_budget_was_made_is_put_right_in_it() -> None:
    department = DepartmentFactory()
    lost = reserve(100, department_id=department.pk)
    services.settle_expired(at=timezone.now() + timedelta(hours=1))
    budget = BudgetFactory(department=department)
    assert budget.periods.get().spent_nanos == 100
    services.settle(
        reservation_id=lost.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=30),
        elapsed_ms=1,
    )
    assert budget.periods.get().spent_nanos == 30


def test_a_budget_switched_on_again_counts_what_it_missed() -> None:
    budget = BudgetFactory()
    Budget.objects.update(is_enabled=False)
    assert budget.periods.get().has_gaps
    settled_call(department_id=budget.department_id)
    assert budget.periods.get().spent_nanos == 0
    Budget.objects.update(is_enabled=True)
    period = budget.periods.get()
    assert (period.spent_nanos, period.has_gaps) == (1000, False)


def test_a_budget_in_all_counts_calls_whose_detail_was_removed() -> None:
    department = DepartmentFactory()
    settled_call(department_id=department.pk)
    with connection.cursor() as cursor:
        # As retention leaves it: entries and reservations stay.
        cursor.execute("TRUNCATE billing_usagerecord")
    assert BudgetFactory(department=department, period="TOTAL").periods.get().spent_nanos == 1000


def test_a_budget_keeps_its_period_and_whom_it_is_for() -> None:
    budget = BudgetFactory()
    for change in ({"period": "DAY"}, {"user_id": UserFactory().pk}):
        with pytest.raises(DatabaseError, match="make another one"), transaction.atomic():
            Budget.objects.filter(pk=budget.pk).update(**change)


def test_states_are_those_of_a_call_of_these_and_the_scarcest_comes_first() -> None:
    person = UserFactory()
    department = person.memberships.get().department
    BudgetFactory(department=department, limit_nanos=5000)
    BudgetFactory(department=department, user=person, limit_nanos=3000, soft_limit_nanos=500)
    BudgetFactory(department=DepartmentFactory())
    BudgetFactory(department=department, user=UserFactory())
    settled_call(department_id=department.pk, user_id=person.pk)
    reserve(100, department_id=department.pk)
    found = states(department_id=department.pk, user_id=person.pk)
    assert [(one.subject, one.left_nanos) for one in found] == [
        ("person", 2000),
        ("department", 3900),
    ]
    assert found[0].is_soft_reached
    assert found[0].spent_percent == 33
