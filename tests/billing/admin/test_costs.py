"""The cost overview of the admin: its figures, its filters, where its bars lead, and its CSV."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts.models import Department, User
from apps.billing import book, services
from apps.billing.admin.cost_page import cost_page
from apps.billing.costs import rollups
from apps.billing.costs.types import Dimension
from apps.billing.forms.costs import CostForm
from apps.billing.models import Purpose
from apps.core.csv import BYTE_ORDER_MARK
from apps.core.ids import uuid7
from tests.billing.admin.made import UNIT, Spender, priced
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory

pytestmark = pytest.mark.django_db

URL = "admin:billing_usagerecord_totals"
NOVEMBER = datetime(2026, 11, 10, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 10, 12, tzinfo=UTC)


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


@pytest.fixture
def sales() -> Department:
    return DepartmentFactory(name="Sales", code="sales")


def page(operator: Client, **asked: str) -> str:
    response = operator.get(reverse(URL), asked)
    assert response.status_code == 200
    return response.content.decode()


def sections(**asked: str) -> dict[Dimension, list[tuple[str, int]]]:
    form = CostForm(asked, now=NOVEMBER)
    assert form.is_valid(), form.errors
    shown = cost_page(form, at=NOVEMBER)
    return {
        one.dimension: [(row.name, row.line.amount_nanos // UNIT) for row in one.rows]
        for one in shown.sections
    }


def test_a_month_beside_the_month_before(operator: Client, sales: Department) -> None:
    priced("model")
    spender = Spender(sales)
    spender.spend(30, at=NOVEMBER)
    spender.spend(20, at=OCTOBER)
    spender.spend(40, at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    form = CostForm({}, now=NOVEMBER)
    assert form.is_valid()
    shown = cost_page(form, at=NOVEMBER)
    assert (shown.total.amount_nanos, shown.before.amount_nanos) == (30 * UNIT, 60 * UNIT)
    # The running month is compared with the same days of the one before, not with all of it.
    assert (shown.before_part_nanos, shown.change) == (20 * UNIT, "+50 %")
    assert [day.cost.amount_nanos // UNIT for day in shown.days if day.cost.call_count] == [30]
    assert [day.before.day.isoformat() for day in shown.days[:1] if day.before] == ["2026-10-01"]
    assert shown.forecast is not None
    text = page(operator, month="2026-11")
    assert "30.00 $" in text
    assert "?month=2026-10" in text


def test_each_dimension_is_told_apart_and_leads_to_its_calls(
    operator: Client, sales: Department, owner: User
) -> None:
    priced("small", "large")
    Spender(sales, owner).spend(5, at=NOVEMBER, model_code="small", product="documents")
    Spender(sales).spend(
        7, at=NOVEMBER, model_code="large", purpose=Purpose.TITLE, tags=("audit", "q4")
    )
    assert sections() == {
        Dimension.DEPARTMENT: [("Sales", 12)],
        Dimension.MODEL: [("large", 7), ("small", 5)],
        Dimension.PERSON: [("Nobody: Parley itself", 7), (str(owner), 5)],
        Dimension.PURPOSE: [("Title", 7), ("Answer", 5)],
        Dimension.PRODUCT: [("Chat", 7), ("Documents", 5)],
        Dimension.API_KEY: [("Without a key", 12)],
        Dimension.TAG: [("audit", 7), ("q4", 7)],
    }
    form = CostForm({}, now=NOVEMBER)
    assert form.is_valid()
    for section in cost_page(form, at=NOVEMBER).sections:
        for row in section.rows:
            if not row.calls_url:
                assert row.name in {"Nobody: Parley itself", "Without a key"}
                continue
            listed = operator.get(row.calls_url, {**_query(row.calls_url), "month": "2026-11"})
            assert len(listed.context["rows"]) == row.line.call_count, row.name
            assert listed.context["total"].amount_nanos == row.line.amount_nanos


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_filters_narrow_every_figure(sales: Department, owner: User) -> None:
    priced("small", "large")
    Spender(sales, owner).spend(5, at=NOVEMBER, model_code="small")
    Spender(DepartmentFactory(), owner).spend(3, at=NOVEMBER, model_code="small")
    Spender(sales).spend(7, at=NOVEMBER, model_code="large", tags=("audit",))
    for asked, units in (
        ({"department": str(sales.pk)}, 12),
        ({"person": owner.email.upper()}, 8),
        ({"person": str(owner.pk), "department": str(sales.pk)}, 5),
        ({"model": "provider/large"}, 7),
        ({"model": "other/large"}, 0),
        ({"tag": "audit"}, 7),
        ({"product": "documents"}, 0),
        ({"purpose": Purpose.ANSWER}, 15),
        ({"from": "2026-11-10", "to": "2026-11-10"}, 15),
        ({"from": "2026-11-09", "to": "2026-11-09"}, 0),
        ({"month": "2026-10"}, 0),
    ):
        form = CostForm(asked, now=NOVEMBER)
        assert form.is_valid(), form.errors
        shown = cost_page(form, at=NOVEMBER)
        assert shown.total.amount_nanos == units * UNIT, asked
        assert sum(day.cost.amount_nanos for day in shown.days) == units * UNIT, asked
        # Corrections have no person, model or tag, and a forecast is made of whole departments.
        is_departments = not {*asked} - {"department", "month", "from", "to"}
        assert (shown.corrections_nanos is not None) == is_departments, asked


def test_what_is_not_among_the_dearest_is_summed_up(sales: Department) -> None:
    codes = [f"model-{number:02}" for number in range(12)]
    priced(*codes)
    for number, code in enumerate(codes):
        Spender(sales).spend(number + 1, at=NOVEMBER, model_code=code)
    form = CostForm({}, now=NOVEMBER)
    assert form.is_valid()
    [models] = [
        one for one in cost_page(form, at=NOVEMBER).sections if one.dimension == Dimension.MODEL
    ]
    assert [row.line.amount_nanos // UNIT for row in models.rows] == list(range(12, 2, -1))
    assert models.rest is not None
    assert (models.rest.amount_nanos, models.rest.call_count) == (3 * UNIT, 2)
    everything = cost_page(form, at=NOVEMBER, is_long=True)
    [models] = [one for one in everything.sections if one.dimension == Dimension.MODEL]
    assert (len(models.rows), models.rest) == (12, None)


def test_the_figures_are_the_same_before_and_after_they_are_rolled_up(sales: Department) -> None:
    priced("model")
    Spender(sales).spend(4, at=NOVEMBER)
    before = sections()
    assert rollups.roll_up() == 1
    Spender(sales).spend(2, at=NOVEMBER)
    assert before[Dimension.DEPARTMENT] == [("Sales", 4)]
    assert sections()[Dimension.DEPARTMENT] == [("Sales", 6)]


def test_corrections_and_budgets_are_shown_apart(
    operator: Client, sales: Department, owner: User
) -> None:
    priced("model")
    budget = BudgetFactory(department=sales, limit_nanos=10 * UNIT, soft_limit_nanos=8 * UNIT)
    BudgetFactory(department=None, user=owner, limit_nanos=UNIT)
    Spender(sales).spend(9)
    services.correct(
        entry_id=uuid7(),
        department_id=sales.pk,
        amount_nanos=2 * UNIT,
        is_credit=True,
        reason="double",
        author_id=None,
    )
    text = page(operator)
    assert "-2.00 $" in text
    assert "9.00 $ of 10.00 $" in text
    assert reverse("admin:billing_budget_change", args=[budget.pk]) in text
    assert "is-soft" in text
    # A person's own budget is seen when the page is that person's.
    assert "of 1.00 $" not in text
    assert "of 1.00 $" in page(operator, person=owner.email)


def test_the_csv_is_what_the_page_shows(operator: Client, owner: User) -> None:
    priced("model")
    evil = DepartmentFactory(name='=HYPERLINK("http://x","y")', code="evil")
    Spender(evil, owner).spend(5, at=NOVEMBER)
    Spender(DepartmentFactory(name="Sales"), owner).spend(3, at=OCTOBER)
    BudgetFactory(department=evil, limit_nanos=UNIT // 4)
    response = operator.get(reverse(URL), {"month": "2026-11", "format": "csv"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert "cost-2026-11-01-to-2026-11-30.csv" in response["Content-Disposition"]
    text = b"".join(response.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="")))
    assert {row["currency"] for row in rows} == {"USD"}
    by_section: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_section.setdefault(row["section"], []).append(row)
    assert [row["amount"] for row in by_section["total"]] == ["5"]
    assert [row["amount"] for row in by_section["total before"]] == ["3"]
    assert [row["name"] for row in by_section["Departments"]] == ["'" + evil.name]
    assert [(row["amount"], row["calls"]) for row in by_section["People"]] == [("5", "1")]
    assert sum(Decimal(row["amount"]) for row in by_section["day"]) == 5
    assert [row["amount"] for row in by_section["budget limit"]] == ["0.25"]
    shown = operator.get(reverse(URL), {"month": "2026-11"}).context["page"]
    for section in shown.sections:
        written = by_section.get(section.title, [])
        assert [row.line.call_count for row in section.rows] == [
            int(row["calls"]) for row in written
        ]


def test_months_begin_where_the_billing_time_zone_says(
    settings: Settings, sales: Department
) -> None:
    settings.BILLING_TIME_ZONE = "Asia/Tokyo"
    book.open_book()
    priced("model")
    Spender(sales).spend(1, at=datetime(2026, 10, 31, 14, 59, tzinfo=UTC))
    Spender(sales).spend(2, at=datetime(2026, 10, 31, 15, 0, tzinfo=UTC))
    assert sections(month="2026-11")[Dimension.DEPARTMENT] == [("Sales", 2)]
    assert sections(**{"from": "2026-10-31", "to": "2026-10-31"})[Dimension.DEPARTMENT] == [
        ("Sales", 1)
    ]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"month": "2026-13"}, "A month looks like"),
        ({"month": "x\0"}, "Null characters are not allowed"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "the first one first"),
        ({"from": "1999-01-01", "to": "1999-01-02"}, "of this century"),
        ({"from": "2020-01-01", "to": "2026-01-02"}, "at most 400 days"),
        ({"person": "nobody@example.org"}, "Nobody has this e-mail"),
        ({"model": "gpt"}, "provider/model"),
        ({"department": "x"}, "is not a valid UUID"),
        ({"purpose": "x"}, "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_shown(
    operator: Client, sales: Department, asked: dict[str, str], says: str
) -> None:
    priced("model")
    Spender(sales).spend(5)
    text = page(operator, **asked)
    assert says in unescape(text)
    assert "5.00 $" not in text


@pytest.mark.parametrize("month", ["", "2000-01", "2026-11", "2099-12"])
def test_an_empty_page_says_what_to_do(operator: Client, month: str) -> None:
    text = page(operator, month=month)
    assert "No calls in this time." in text
    assert "No budget concerns this" in text


def test_few_queries_however_much_there_is(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    priced("model")
    for _ in range(4):
        user = UserFactory()
        spender = Spender(DepartmentFactory(), user)
        BudgetFactory(department=spender.department)
        spender.spend(1, at=NOVEMBER)
    with django_assert_max_num_queries(21):
        page(operator, month="2026-11")


def test_operators_only(client: Client, owner: User, outsider: User) -> None:
    assert client.get(reverse(URL)).status_code == 302
    for person in (owner, outsider):
        client.force_login(person)
        for asked in ({}, {"format": "csv"}):
            response = client.get(reverse(URL), asked)
            assert response.status_code == 302
            assert "/login/" in response["Location"]
