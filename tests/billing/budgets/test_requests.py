"""Asking for more of a budget: who may, who answers, and that one answer counts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.models import Department, Membership, User
from apps.billing.budgets import requests
from apps.billing.budgets.approvers import approver_names, approvers
from apps.billing.budgets.state import states
from apps.billing.budgets.wording import refusal_text
from apps.billing.errors import (
    AlreadyDecidedError,
    BillingError,
    InvalidAmountError,
    NotAllowedError,
)
from apps.billing.models import Budget, BudgetIncrease, BudgetRequest
from apps.billing.types import Refusal
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory

TOMORROW = timedelta(days=1)


@pytest.fixture
def department(db: None) -> Department:
    return DepartmentFactory(name="Sales")


@pytest.fixture
def head(department: Department) -> User:
    return UserFactory(department=department, role=Membership.Role.HEAD, full_name="Hedda Head")


@pytest.fixture
def member(department: Department) -> User:
    return UserFactory(department=department)


@pytest.fixture
def budget(department: Department, member: User) -> Budget:
    return BudgetFactory(department=department, user=member, limit_nanos=100)


def asked(budget: Budget, asker: User) -> BudgetRequest:
    return requests.ask(asker=asker, budget_id=budget.pk, amount_nanos=50, reason="a fair")


def test_a_head_gives_more_with_an_end(budget: Budget, member: User, head: User) -> None:
    request = asked(budget, member)
    assert list(requests.waiting_for(head)) == [request]
    ends = timezone.now() + TOMORROW
    increase = requests.approve(request_id=request.pk, by=head, amount_nanos=30, expires_at=ends)
    assert (increase.amount_nanos, increase.expires_at, increase.reason) == (30, ends, "a fair")
    [state] = states(department_id=budget.department_id, user_id=member.pk)
    assert state.limit_nanos == 130
    request.refresh_from_db()
    assert (request.state, request.decided_by) == ("APPROVED", head)
    assert not requests.waiting_for(head).exists()


def test_a_request_is_answered_once(budget: Budget, member: User, head: User) -> None:
    request = asked(budget, member)
    requests.decline(request_id=request.pk, by=head)
    with pytest.raises(AlreadyDecidedError, match="Hedda Head"):
        requests.approve(
            request_id=request.pk, by=head, amount_nanos=1, expires_at=timezone.now() + TOMORROW
        )
    assert not BudgetIncrease.objects.exists()
    asked(budget, member)


@pytest.mark.django_db(transaction=True)
def test_of_answers_at_the_same_time_one_counts(budget: Budget, member: User, head: User) -> None:
    request = asked(budget, member)
    start = Barrier(4)

    def answer(number: int) -> str:
        start.wait()
        try:
            if number % 2:
                requests.decline(request_id=request.pk, by=head)
            else:
                requests.approve(
                    request_id=request.pk,
                    by=head,
                    amount_nanos=1,
                    expires_at=timezone.now() + TOMORROW,
                )
        except AlreadyDecidedError:
            return "late"
        finally:
            connection.close()
        return "counted"

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(answer, range(4))) == ["counted", "late", "late", "late"]


@pytest.mark.django_db
def test_a_refusal_by_everybodys_budget_tells_no_amount_of_the_organisation() -> None:
    budget = BudgetFactory(department=None)
    refusal = Refusal(
        budget_id=budget.pk,
        subject=budget.subject,
        period=Budget.Period.MONTH,
        at_limit=Budget.AtLimit.REFUSE,
        is_soft=False,
        limit_nanos=765 * 10**9,
        spent_nanos=764 * 10**9,
        reserved_nanos=10**9,
        max_nanos=2 * 10**9,
        refills_at=None,
    )
    text = refusal_text(refusal)
    assert "It could cost up to 2.00 $." in text
    assert not {"765", "764", "1.00"} & {*text.replace("$", " ").split()}


def test_only_whom_the_budget_concerns_may_ask(budget: Budget, head: User) -> None:
    for stranger in (head, UserFactory()):
        with pytest.raises(NotAllowedError):
            asked(budget, stranger)


def test_only_heads_of_its_department_and_operators_decide(budget: Budget, member: User) -> None:
    request = asked(budget, member)
    other_head = UserFactory(role=Membership.Role.HEAD)
    for stranger in (member, other_head, UserFactory(is_active=False, is_operator=True)):
        assert stranger.is_operator or not requests.waiting_for(stranger).exists()
        with pytest.raises(NotAllowedError):
            requests.decline(request_id=request.pk, by=stranger)
    requests.decline(request_id=request.pk, by=UserFactory(department=None, is_operator=True))


def test_where_heads_may_not_raise_it_operators_do(
    budget: Budget, member: User, head: User
) -> None:
    Budget.objects.update(is_raised_by_heads=False)
    operator = UserFactory(department=None, is_operator=True, full_name="Olga Operator")
    request = asked(budget, member)
    assert not requests.waiting_for(head).exists()
    with pytest.raises(NotAllowedError):
        requests.decline(request_id=request.pk, by=head)
    budget.refresh_from_db()
    assert approver_names([budget]) == {budget.pk: ("Olga Operator",)}
    assert list(approvers(budget)) == [operator]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b, m, h: requests.ask(asker=m, budget_id=b.pk, amount_nanos=0, reason="x"), "zero"),
        (lambda b, m, h: requests.ask(asker=m, budget_id=b.pk, amount_nanos=1, reason=" "), "for"),
        (lambda b, m, h: [asked(b, m), asked(b, m)], "already"),
        (
            lambda b, m, h: requests.approve(
                request_id=asked(b, m).pk, by=h, amount_nanos=1, expires_at=timezone.now()
            ),
            "still to come",
        ),
        (
            lambda b, m, h: requests.approve(
                request_id=asked(b, m).pk, by=h, amount_nanos=0, expires_at=timezone.now()
            ),
            "above zero",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    budget: Budget, member: User, head: User, call: Callable[..., object], message: str
) -> None:
    with pytest.raises((InvalidAmountError, BillingError), match=message):
        call(budget, member, head)


def test_a_refusal_says_what_is_used_up_when_it_refills_and_whom_to_ask(
    budget: Budget, head: User
) -> None:
    now = timezone.now()
    refusal = Refusal(
        budget_id=budget.pk,
        subject="person",
        period=Budget.Period.MONTH,
        at_limit=Budget.AtLimit.REFUSE,
        is_soft=False,
        limit_nanos=5_000_000_000,
        spent_nanos=4_000_000_000,
        reserved_nanos=500_000_000,
        max_nanos=750_000_000,
        refills_at=now.replace(year=2026, month=12, day=1, hour=0, minute=0, second=0),
    )
    text = refusal_text(refusal)
    assert text.startswith("Your own budget for this month has no room for this question.")
    assert "up to 0.75 $" in text
    assert "4.00 $ of 5.00 $" in text
    assert "0.50 $ held" in text
    assert "Dec. 1, 2026" in text
    assert "ask Hedda Head" in text
