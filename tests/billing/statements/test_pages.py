"""The pages of statements and months: who may open them, what they say, and that a close is asked for twice."""

import csv
import io
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Department, Membership, User
from apps.billing.forms.statements import SharedCostForm
from apps.billing.models import MonthClose, Outcome, SharedCost, Statement
from apps.billing.statements.closing import close_month
from apps.billing.statements.pages import Amount
from apps.core.money import NANOS_PER_UNIT
from tests.billing.statements.making import (
    NOVEMBER,
    OCTOBER,
    called,
    corrected,
    opened,
    set_prices,
    settled,
)
from tests.factories.accounts import DepartmentFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
MONTH = "admin:billing_monthclose_month"


@pytest.fixture
def head(department: Department) -> User:
    """The head of the owner's department, "support", which used, owes and shares something."""
    head = UserFactory(department=department, role=Membership.Role.HEAD)
    set_prices()
    lost = opened(department, at=OCTOBER)
    settled(lost.reservation_id, outcome=Outcome.ESTIMATED, at=OCTOBER, input_tokens=9001)
    close_month(starts_at=OCTOBER, closed_by_id=head.pk)
    called(department, usage={"input_tokens": 12_345_678, "output_tokens": 7})
    settled(lost.reservation_id, at=NOVEMBER, input_tokens=1)
    corrected(department, -777)
    SharedCost.objects.create(
        name="Platform", method="EVEN", amount_nanos=1_500_000_000_000, starts_on=date(2025, 11, 1)
    )
    return head


@pytest.fixture
def statement(head: User) -> Statement:
    """The statement of November."""
    close_month(starts_at=NOVEMBER, closed_by_id=head.pk)
    return Statement.objects.get(month__starts_at=NOVEMBER, department_code="support")


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, (url, response.status_code)
    return response.content.decode()


# For heads


@pytest.mark.parametrize("name", ["billing:statement", "billing:statement-csv"])
def test_a_head_opens_their_departments_statements_and_nobody_else_does(
    statement: Statement, head: User, owner: User, outsider: User, admin_user: User, name: str
) -> None:
    url = reverse(name, args=[statement.pk])
    client = Client()
    assert client.get(url).status_code == 302
    other_head = UserFactory(role=Membership.Role.HEAD)
    for person in (owner, outsider, admin_user, other_head):
        client.force_login(person)
        assert client.get(url).status_code == 404, person
    client.force_login(head)
    assert client.get(url).status_code == 200
    assert client.get(reverse(name, args=[uuid4()])).status_code == 404
    assert client.post(url).status_code == 405
    Membership.objects.filter(user=head).update(role=Membership.Role.MEMBER)
    assert client.get(url).status_code == 404


def test_a_statement_says_all_that_makes_up_its_total(
    statement: Statement,
    head: User,
    client: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(head)
    url = reverse("billing:statement", args=[statement.pk])
    with django_assert_max_num_queries(5):
        shown = page(client, url)
    total = Amount.of(statement.total_nanos)
    for text in (
        "Statement of cost", "November 2025", "1 November 2025 – 30 November 2025, UTC", str(statement.pk),
        "12,345,678", "Agreed with finance", "1 estimated call put right", "100.00 % of 1,500, the same for all",
        f'{total.major}<span class="exact__fine">{total.minor}</span>',
    ):  # fmt: skip
        assert text in shown
    assert client.get(url, headers={"If-None-Match": client.get(url)["ETag"]}).status_code == 304


def test_the_department_page_leads_to_its_statements(
    statement: Statement, head: User, client: Client
) -> None:
    client.force_login(head)
    shown = page(client, reverse("billing:department", args=["support"]))
    assert reverse("billing:statement", args=[statement.pk]) in shown


def test_the_csv_adds_up_and_holds_no_formula(
    head: User, client: Client, department: Department
) -> None:
    department.name = "=1+1"
    department.save(update_fields=["name"])
    close_month(starts_at=NOVEMBER)
    statement = Statement.objects.get(month__starts_at=NOVEMBER)
    client.force_login(head)
    response = client.get(reverse("billing:statement-csv", args=[statement.pk]))
    assert "support 2025-11.csv" in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert {row["department_name"] for row in rows} == {"'=1+1"}
    *lines, total = rows
    assert total["part"] == "total"
    assert nanos(total["amount"]) == statement.total_nanos
    assert sum(nanos(line["amount"]) for line in lines) == statement.total_nanos
    assert [line["input"] for line in lines if line["part"] == "usage"] == ["12345678"]
    adjusted = {line["amount"] for line in lines if line["part"] == "adjustment"}
    assert "-0.000000777" in adjusted


def nanos(text: str) -> int:
    units, _point, decimals = text.lstrip("-").partition(".")
    size = int(units) * NANOS_PER_UNIT + int(decimals.ljust(9, "0"))
    return -size if text.startswith("-") else size


@settings(deadline=None)
@given(st.integers(-(10**18), 10**18))
def test_an_amount_is_shown_to_the_last_nano(amount: int) -> None:
    shown = Amount.of(amount)
    assert nanos((shown.major + shown.minor).replace(",", "").replace("−", "-")) == amount


# For operators


def test_months_are_for_operators_only(statement: Statement, head: User, admin_user: User) -> None:
    urls = [
        reverse("admin:billing_monthclose_changelist"),
        f"{reverse(MONTH)}?month=2025-11",
        f"{reverse('admin:billing_monthclose_csv')}?month=2025-11",
        f"{reverse('admin:billing_monthclose_focus')}?month=2025-11",
        reverse("admin:billing_statement_changelist"),
        reverse("admin:billing_statement_change", args=[statement.pk]),
        reverse("admin:billing_statement_csv", args=[statement.pk]),
        reverse("admin:billing_sharedcost_changelist"),
    ]
    client = Client()
    client.force_login(head)
    assert {client.get(url).status_code for url in urls} == {302}
    client.force_login(admin_user)
    assert {client.get(url).status_code for url in urls} == {200}
    closed = reverse("admin:billing_monthclose_change", args=[statement.month_id])
    assert client.get(closed).headers["Location"] == f"{reverse(MONTH)}?month=2025-11"


def test_an_operator_looks_then_closes_and_is_named(
    head: User, admin_user: User, client: Client
) -> None:
    client.force_login(admin_user)
    listed = page(client, reverse("admin:billing_monthclose_changelist"))
    assert "?month=2025-11" in listed
    url = f"{reverse(MONTH)}?month=2025-11"
    before = page(client, url)
    assert "preview: the month is open" in before
    assert "Close the month" in before
    sheet = page(
        client, f"{reverse('admin:billing_monthclose_preview')}?month=2025-11&department=support"
    )
    assert "Preview of a statement" in sheet
    assert "The month is not closed" in sheet
    # Without the tick nothing happens.
    assert "looked at the statements" in client.post(url).content.decode()
    assert not MonthClose.objects.filter(starts_at=NOVEMBER).exists()
    assert client.post(url, {"is_meant": "on"}).status_code == 302
    after = page(client, url)
    assert "by Operator" in after
    assert "Close the month" not in after
    assert MonthClose.objects.get(starts_at=NOVEMBER).closed_by == admin_user
    assert client.post(url, {"is_meant": "on"}).status_code == 302
    assert MonthClose.objects.filter(starts_at=NOVEMBER).count() == 1
    gone = f"{reverse('admin:billing_monthclose_preview')}?month=2025-11&department=support"
    assert client.get(gone).status_code == 404


def test_what_stands_in_the_way_is_told_and_nothing_closes(
    head: User, department: Department, admin_user: User, client: Client
) -> None:
    opened(department)
    client.force_login(admin_user)
    url = f"{reverse(MONTH)}?month=2025-11"
    shown = page(client, url)
    assert "1 call opened in the month has not ended" in shown
    assert "Close the month" not in shown
    told = client.post(url, {"is_meant": "on"}, follow=True).content.decode()
    assert "November 2025 is still open" in told
    assert not MonthClose.objects.filter(starts_at=NOVEMBER).exists()


@pytest.mark.parametrize("month", ["", "2025-13", "x", "2999-01", "0000-01", "2025-1\x00"])
def test_what_is_no_month_is_not_found(admin_user: User, client: Client, month: str) -> None:
    client.force_login(admin_user)
    assert client.get(reverse(MONTH), {"month": month}).status_code == 404


def test_a_statement_in_the_admin_can_only_be_read(
    statement: Statement, admin_user: User, client: Client
) -> None:
    client.force_login(admin_user)
    assert "Statement of cost" in page(
        client, reverse("admin:billing_statement_change", args=[statement.pk])
    )
    for kind, pk in (("statement", statement.pk), ("monthclose", statement.month_id)):
        assert client.get(reverse(f"admin:billing_{kind}_add")).status_code == 403
        delete = reverse(f"admin:billing_{kind}_delete", args=[pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403
    unknown = reverse("admin:billing_statement_change", args=[uuid4()])
    assert client.get(unknown).status_code == 404


# Shared costs

PLATFORM = {
    "name": "Platform",
    "amount_nanos": "1500",
    "source_department": "",
    "method": "FIXED",
    "shares": '{"support": 2, "sales": 0.5}',
    "starts_on": "2025-11-01",
    "ends_on": "",
}


@pytest.mark.django_db
def test_a_shared_cost_is_entered_in_units_and_is_in_the_journal(
    department: Department, admin_user: User, client: Client
) -> None:
    DepartmentFactory(code="sales")
    client.force_login(admin_user)
    url = reverse("admin:billing_sharedcost_add")
    response = client.post(url, {**PLATFORM, "journal_reason": "the new contract"})
    assert response.status_code == 302, response.context["adminform"].form.errors
    cost = SharedCost.objects.get()
    assert cost.amount_nanos == 1500 * NANOS_PER_UNIT
    assert cost.shares == {"support": 2, "sales": 0.5}
    journal = page(client, reverse("admin:tuning_revision_changelist"))
    assert "the new contract" in journal
    assert 'value="1500"' in page(
        client, reverse("admin:billing_sharedcost_change", args=[cost.pk])
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shares": '{"nobody": 1}'}, "shares"),
        ({"shares": '{"support": -1}'}, "shares"),
        ({"shares": "{}"}, "shares"),
        ({"shares": ""}, "shares"),
        ({"shares": "support 2"}, "shares"),
        ({"method": "EVEN"}, "shares"),
        ({"amount_nanos": ""}, "amount_nanos"),
        ({"amount_nanos": "-1"}, "amount_nanos"),
        ({"ends_on": "2025-10-31"}, "ends_on"),
        ({"starts_on": ""}, "starts_on"),
    ],
)
def test_a_shared_cost_that_no_month_could_spread_is_refused(
    department: Department, change: dict[str, str], field: str
) -> None:
    DepartmentFactory(code="sales")
    assert SharedCostForm(PLATFORM).is_valid()
    form = SharedCostForm({**PLATFORM, **change})
    assert list(form.errors) == [field]


@pytest.mark.django_db
def test_a_departments_cost_is_spread_once_in_a_month_and_not_on_itself(
    department: Department,
) -> None:
    library = DepartmentFactory(code="library")
    spread: dict[str, Any] = {
        **PLATFORM,
        "amount_nanos": "",
        "source_department": str(library.pk),
        "method": "EVEN",
        "shares": "",
        "starts_on": "2025-06-15",
        "ends_on": "2025-11-02",
    }
    form = SharedCostForm(spread)
    assert form.is_valid(), form.errors
    first = form.save()
    assert list(SharedCostForm({**spread, "starts_on": "2025-11-30", "ends_on": ""}).errors) == [
        "source_department"
    ]
    assert SharedCostForm({**spread, "starts_on": "2025-12-01", "ends_on": ""}).is_valid()
    earlier = {**spread, "starts_on": "2025-01-01", "ends_on": "2025-05-31"}
    assert SharedCostForm(earlier).is_valid()
    assert SharedCostForm(spread, instance=first).is_valid()
    both = SharedCostForm({**spread, "amount_nanos": "5", "starts_on": "2026-01-01", "ends_on": ""})
    assert list(both.errors) == ["amount_nanos"]
    own = {"method": "FIXED", "shares": '{"library": 1}', "starts_on": "2026-01-01", "ends_on": ""}
    assert list(SharedCostForm({**spread, **own}).errors) == ["shares"]
