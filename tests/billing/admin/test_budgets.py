"""Budgets in the admin: limits in units of the currency, increases, and the answer to requests."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import ApiKey, Department, User
from apps.billing.budgets import requests
from apps.billing.budgets.state import of_budgets
from apps.billing.models import Budget, BudgetIncrease, BudgetPeriod, BudgetRequest
from apps.tuning.models import Revision
from tests.billing.admin.made import UNIT, Spender, priced
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory

pytestmark = pytest.mark.django_db

LIST = "admin:billing_budget_changelist"
CHANGE = "admin:billing_budget_change"


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def sent(**fields: str) -> dict[str, str]:
    return {
        "period": "MONTH",
        "limit_nanos": "250",
        "soft_limit_nanos": "199.5",
        "at_limit": "CHEAPER_MODEL",
        "is_enabled": "on",
        "journal_reason": "agreed for 2027",
        **fields,
    }


def test_a_budget_is_set_in_units_and_journalled(
    operator: Client, department: Department, admin_user: User
) -> None:
    response = operator.post(
        reverse("admin:billing_budget_add"), sent(department=str(department.pk))
    )
    assert response.status_code == 302, response.context["adminform"].form.errors
    [budget] = Budget.objects.all()
    assert (budget.limit_nanos, budget.soft_limit_nanos) == (250 * UNIT, 199_500_000_000)
    page = operator.get(reverse(CHANGE, args=[budget.pk])).content.decode()
    assert 'value="250"' in page
    assert 'value="199.5"' in page
    change = operator.post(reverse(CHANGE, args=[budget.pk]), sent(limit_nanos="300"))
    assert change.status_code == 302
    revision = Revision.objects.order_by("-pk")[0]
    assert (revision.author, revision.reason) == (admin_user, "agreed for 2027")
    assert list(revision.changed) == ["limit_nanos"]


def test_whose_it_is_and_its_period_stay(operator: Client, department: Department) -> None:
    budget = BudgetFactory(department=department)
    elsewhere = sent(department=str(DepartmentFactory().pk), period="DAY")
    assert operator.post(reverse(CHANGE, args=[budget.pk]), elsewhere).status_code == 302
    budget.refresh_from_db()
    assert (budget.department, budget.period) == (department, "MONTH")
    delete = reverse("admin:billing_budget_delete", args=[budget.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"soft_limit_nanos": "251"}, "not above the limit"),
        ({"soft_limit_nanos": ""}, "begins at a soft limit"),
        ({"limit_nanos": "-1"}, "not below 0"),
        ({"limit_nanos": ""}, "required"),
        ({"limit_nanos": "a lot"}, "Enter an amount such as"),
    ],
)
def test_limits_that_make_no_sense_are_explained(
    operator: Client, fields: dict[str, str], says: str
) -> None:
    response = operator.post(reverse("admin:billing_budget_add"), sent(**fields))
    assert says in response.content.decode()
    assert not Budget.objects.exists()


def test_there_is_one_budget_of_a_kind(operator: Client, department: Department) -> None:
    for subject in ({"department": str(department.pk)}, {}):
        assert (
            operator.post(reverse("admin:billing_budget_add"), sent(**subject)).status_code == 302
        )
        again = operator.post(reverse("admin:billing_budget_add"), sent(**subject))
        assert "already exists" in again.content.decode()
    assert Budget.objects.count() == 2


def test_a_key_s_budget_names_no_other_department(
    operator: Client, owner: User, department: Department
) -> None:
    key = ApiKey.objects.create(
        name="bot", prefix="pk_1", secret_hash=b"x", owner=owner, department=department
    )
    subject = {"api_key": str(key.pk), "department": str(DepartmentFactory().pk)}
    response = operator.post(reverse("admin:billing_budget_add"), sent(**subject))
    assert "belongs to another department" in response.content.decode()
    assert (
        operator.post(reverse("admin:billing_budget_add"), sent(api_key=str(key.pk))).status_code
        == 302
    )


def test_a_limit_below_what_is_spent_is_taken_and_shown(
    operator: Client, department: Department
) -> None:
    priced("model")
    budget = BudgetFactory(department=department, limit_nanos=10 * UNIT)
    Spender(department).spend(6)
    response = operator.post(
        reverse(CHANGE, args=[budget.pk]),
        sent(limit_nanos="4", soft_limit_nanos="", at_limit="REFUSE"),
    )
    assert response.status_code == 302
    page = operator.get(reverse(CHANGE, args=[budget.pk])).content.decode()
    assert "6.00 $ of 4.00 $" in page
    assert "is-full" in page


def test_the_list_shows_every_bar_with_few_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    priced("model")
    for number in range(1, 6):
        one = DepartmentFactory(name=f"Number {number}")
        BudgetFactory(department=one, limit_nanos=10 * UNIT)
        Spender(one).spend(number)
    with django_assert_max_num_queries(16):
        page = operator.get(reverse(LIST)).content.decode()
    for number in range(1, 6):
        assert f"{number}.00 $ of 10.00 $" in page
    assert "Number 3" in operator.get(reverse(LIST), {"q": "number 3"}).content.decode()


def test_an_increase_raises_until_its_end_and_its_end_can_be_moved(
    operator: Client, department: Department, admin_user: User
) -> None:
    budget = BudgetFactory(department=department, limit_nanos=10 * UNIT)
    add = f"{reverse('admin:billing_budgetincrease_add')}?budget={budget.pk}"
    assert str(budget.pk) in operator.get(add).content.decode()
    now = timezone.now()
    fields = {
        "budget": str(budget.pk),
        "amount_nanos": "5",
        "starts_at_0": f"{now - timedelta(days=1):%Y-%m-%d}",
        "starts_at_1": "00:00:00",
        "expires_at_0": f"{now + timedelta(days=3):%Y-%m-%d}",
        "expires_at_1": "00:00:00",
        "reason": "fair in May",
    }
    for wrong in ({"amount_nanos": "0"}, {"expires_at_0": f"{now - timedelta(days=2):%Y-%m-%d}"}):
        assert operator.post(add, {**fields, **wrong}).context["adminform"].form.errors
    assert not BudgetIncrease.objects.exists()
    assert operator.post(add, fields)["Location"] == reverse(CHANGE, args=[budget.pk])
    [increase] = BudgetIncrease.objects.all()
    assert (increase.amount_nanos, increase.approved_by) == (5 * UNIT, admin_user)
    assert Revision.objects.order_by("-pk")[0].reason == "fair in May"
    assert _limit(budget) == 15 * UNIT
    page = operator.get(reverse(CHANGE, args=[budget.pk])).content.decode()
    assert "fair in May" in page
    assert "with 5.00 $ of increases" in page
    change = reverse("admin:billing_budgetincrease_change", args=[increase.pk])
    assert "fair in May" in operator.get(change).content.decode()
    ended = {
        "amount_nanos": "500",
        "expires_at_0": f"{now:%Y-%m-%d}",
        "expires_at_1": "00:00:00",
        "journal_reason": "not needed",
    }
    assert operator.post(change, ended)["Location"] == reverse(CHANGE, args=[budget.pk])
    increase.refresh_from_db()
    assert increase.amount_nanos == 5 * UNIT
    assert _limit(budget) == 10 * UNIT
    delete = reverse("admin:billing_budgetincrease_delete", args=[increase.pk])
    assert operator.post(delete, {"post": "yes"}).status_code == 403


def _limit(budget: Budget) -> int:
    [state] = of_budgets(Budget.objects.filter(pk=budget.pk))
    return state.limit_nanos


@pytest.fixture
def asked(owner: User, department: Department) -> BudgetRequest:
    budget = BudgetFactory(department=department, limit_nanos=10 * UNIT)
    return requests.ask(asker=owner, budget_id=budget.pk, amount_nanos=3 * UNIT, reason="the audit")


def answer(operator: Client, asked: BudgetRequest, **fields: str) -> Any:
    return operator.post(reverse("admin:billing_budgetrequest_change", args=[asked.pk]), fields)


def test_a_request_is_seen_wherever_budgets_are_and_approved_once(
    operator: Client, asked: BudgetRequest
) -> None:
    page = reverse("admin:billing_budgetrequest_change", args=[asked.pk])
    for where in (reverse(LIST), reverse(CHANGE, args=[asked.budget_id])):
        assert page in operator.get(where).content.decode()
    text = operator.get(page).content.decode()
    assert "the audit" in text
    assert 'value="3"' in text
    for wrong in ({"amount_nanos": "0"}, {"until": "FOREVER"}):
        fields = {"amount_nanos": "2", "until": "WEEK", "approve": "1", **wrong}
        assert answer(operator, asked, **fields).context["form"].errors
    approved = answer(operator, asked, amount_nanos="2", until="WEEK", approve="1")
    assert approved["Location"] == reverse(CHANGE, args=[asked.budget_id])
    assert _limit(asked.budget) == 12 * UNIT
    again = answer(operator, asked, amount_nanos="9", until="WEEK", approve="1")
    assert "answered this request already" in again.content.decode()
    assert "A request is answered once." in again.content.decode()
    assert _limit(asked.budget) == 12 * UNIT
    assert "asked for by" in operator.get(reverse(CHANGE, args=[asked.budget_id])).content.decode()


def test_a_request_is_declined(operator: Client, asked: BudgetRequest) -> None:
    assert answer(operator, asked, decline="1").status_code == 302
    asked.refresh_from_db()
    assert asked.state == BudgetRequest.State.DECLINED
    assert _limit(asked.budget) == 10 * UNIT
    page = reverse("admin:billing_budgetrequest_change", args=[asked.pk])
    assert "Declined by" in operator.get(page).content.decode()
    missing = reverse("admin:billing_budgetrequest_change", args=["x"])
    assert operator.get(missing).status_code == 404


def test_past_periods_are_drawn_and_only_read(operator: Client, department: Department) -> None:
    priced("model")
    budget = BudgetFactory(department=department, period="DAY", limit_nanos=10 * UNIT)
    now = timezone.now()
    for days, units in ((3, 4), (2, 9), (0, 1)):
        Spender(department).spend(units, at=now - timedelta(days=days))
    page = operator.get(reverse(CHANGE, args=[budget.pk]))
    heights = [one.height for one in page.context["budget_page"].history.periods]
    assert heights == [400, 900, 100]
    period = BudgetPeriod.objects.order_by("starts_at")[0]
    change = reverse("admin:billing_budgetperiod_change", args=[period.pk])
    assert "4.00 $" in operator.get(change).content.decode()
    assert operator.post(change, {}).status_code == 403
    listed = operator.get(reverse("admin:billing_budgetperiod_changelist"), {"q": department.name})
    assert "9.00 $" in listed.content.decode()


def test_an_empty_list_says_what_budgets_are(operator: Client) -> None:
    assert "none is ever overrun" in operator.get(reverse(LIST)).content.decode()


def test_operators_only(
    client: Client, owner: User, outsider: User, asked: BudgetRequest, department: Department
) -> None:
    head = UserFactory(department=department, role="HEAD")
    budget = asked.budget
    pages = [
        reverse(LIST),
        reverse("admin:billing_budget_add"),
        reverse(CHANGE, args=[budget.pk]),
        reverse("admin:billing_budgetincrease_changelist"),
        reverse("admin:billing_budgetincrease_add"),
        reverse("admin:billing_budgetrequest_changelist"),
        reverse("admin:billing_budgetrequest_change", args=[asked.pk]),
        reverse("admin:billing_budgetperiod_changelist"),
    ]
    for person in (None, owner, outsider, head):
        if person:
            client.force_login(person)
        for url in pages:
            assert "/login/" in client.get(url)["Location"], url
        for url in pages[1:7]:
            response = client.post(url, {**sent(), "approve": "1", "until": "WEEK"})
            assert "/login/" in response["Location"], url
    asked.refresh_from_db()
    assert asked.state == BudgetRequest.State.WAITING
