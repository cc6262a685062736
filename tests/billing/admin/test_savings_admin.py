"""Savings, returns and tags in the admin: figures with their chart and CSV, and results below their inputs."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.billing.models import CostTag, Mechanism, RoiCase, Saving
from apps.billing.pages.columns import column_chart
from apps.billing.types import Usage
from apps.core.ids import uuid7
from apps.core.money import NANOS_PER_UNIT
from apps.tuning.models import Revision
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory, settled_call

pytestmark = pytest.mark.django_db

REPORT = reverse("admin:billing_saving_report")
ROI_ADD = reverse("admin:billing_roicase_add")
ROI_LIST = reverse("admin:billing_roicase_changelist")


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def page_of(client: Client, url: str, asked: dict[str, str] | None = None) -> str:
    response = client.get(url, asked)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def note(
    department: Any, mechanism: Mechanism, units: int, overhead: int = 0, **fields: Any
) -> None:
    Saving.objects.create(
        department=department,
        mechanism=mechanism,
        saved_nanos=units * NANOS_PER_UNIT,
        overhead_nanos=overhead * NANOS_PER_UNIT,
        **{
            "created_at": datetime(2026, 11, 5, tzinfo=UTC),
            "saved_ms": 90_000,
            "request_id": uuid7(),
            **fields,
        },
    )


@pytest.fixture
def saved(db: None) -> Any:
    """A month of 30 $ cost and 60 $ saved net, one before it, and one too long ago."""
    sales, support = DepartmentFactory(name="Sales", code="sales"), DepartmentFactory(name="Help")
    note(sales, Mechanism.EXACT_CACHE, 50)
    note(support, Mechanism.SEMANTIC_CACHE, 14, 4)
    note(sales, Mechanism.ROUTE, 7, created_at=datetime(2025, 12, 1, tzinfo=UTC))
    note(sales, Mechanism.BATCH, 99, created_at=datetime(2025, 11, 30, tzinfo=UTC))
    PriceFactory(nanos_per_million_tokens=10**15)
    settled_call(usage=Usage(input_tokens=30), at=datetime(2026, 11, 9, tzinfo=UTC))
    return sales


@pytest.mark.usefixtures("saved")
def test_a_month_s_savings_by_mechanism_and_department(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(14):
        page = page_of(operator, REPORT, {"month": "2026-11"})
    for shown in (
        "60.00 $",
        "67 % of the 90.00 $ it would have cost",
        "30.00 $",
        "3 min",
        "Earlier answer, same question",
        "Cheaper model",
        "Sales",
        "Checked: 1 hit by meaning",
        "Dec 2025: 7.00 $",
    ):
        assert shown in page, shown
    assert "Batches that may wait" not in page
    assert page.index("Sales</a>") < page.index("Help</a>")


def test_a_department_s_own(operator: Client, saved: Any) -> None:
    page = page_of(operator, REPORT, {"month": "2026-11", "department": "sales"})
    assert "50.00 $" in page
    assert "Help</a>" not in page
    assert f"month=2026-10&amp;department={saved.code}" in page


@pytest.mark.usefixtures("saved")
def test_what_is_shown_can_be_had_as_csv(operator: Client) -> None:
    response = operator.get(REPORT, {"month": "2026-11", "csv": "1"})
    assert response.headers["Content-Type"].startswith("text/csv")
    assert 'filename="savings-2026-11.csv"' in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert [row["net"] for row in rows if row["section"] == "total"] == ["60"]
    for section, count in (("mechanism", 2), ("department", 2), ("month", 12)):
        found = [row for row in rows if row["section"] == section]
        assert len(found) == count
        if section != "month":
            assert sum(int(row["net"]) for row in found) == 60
    assert rows[-1]["name"] == "Nov 2026"


@pytest.mark.parametrize("month", ["", "2026-13", "x", "1999-01", "2099-12", "\x00"])
def test_any_month_that_is_asked_for_is_answered(operator: Client, month: str) -> None:
    assert "Nothing was saved in this year" in page_of(operator, REPORT, {"month": month})
    assert (
        operator.get(REPORT, {"month": month, "department": "a\x00", "csv": ""}).status_code == 200
    )


def test_a_saving_shows_its_whole_request(operator: Client) -> None:
    PriceFactory(nanos_per_million_tokens=10**15)
    settled = settled_call(usage=Usage(input_tokens=30))
    note(DepartmentFactory(), Mechanism.ROUTE, 14, 4, request_id=settled.request_id)
    saving = Saving.objects.get()
    page = page_of(operator, reverse("admin:billing_saving_change", args=[saving.pk]))
    assert "40.00 $ without any mechanism = 30.00 $ for its calls + 14.00 $ saved − 4.00 $" in page
    listed = page_of(operator, reverse("admin:billing_saving_changelist"))
    assert "90,000 ms" in listed


def test_columns_stand_on_one_axis() -> None:
    chart = column_chart(
        [("a", "", [("x", 30), ("y", 10)]), ("b", "", [("x", -15)]), ("c", "", [])]
    )
    assert (chart.top_nanos, chart.bottom_nanos) == (40, -15)
    assert (chart.above, chart.below) == (727, 273)
    [first, second, third] = chart.columns
    assert [part.height for part in first.above] == [545, 181]
    assert [(part.code, part.height) for part in second.below] == [("x", 272)]
    assert (third.above, third.below) == ([], [])
    empty = column_chart([("a", "", [])])
    assert (empty.top_nanos, empty.above, empty.below) == (0, 1000, 0)


def entered(**fields: str) -> dict[str, str]:
    return {
        "name": "Answer caches",
        "monthly_before_nanos": "2000",
        "monthly_after_nanos": "800",
        "hours": "120",
        "hourly_rate_nanos": "100",
        "journal_reason": "",
        **fields,
    }


def test_the_worked_example_on_its_page(operator: Client) -> None:
    """2,000 → 800 $ a month for 120 hours of 100 $."""
    page = " ".join(operator.post(ROI_ADD, entered(), follow=True).content.decode().split())
    for shown in ("10 months", "1,200 $", "12,000 $", "2,400 $", "20 % of the investment"):
        assert shown in page, shown
    assert "After 10 months: 0 $" in page
    case = RoiCase.objects.get()
    assert (case.monthly_before_nanos, case.hourly_rate_nanos) == (
        2000 * NANOS_PER_UNIT,
        100 * NANOS_PER_UNIT,
    )
    assert Revision.objects.get().action == Revision.Action.CREATED
    listed = page_of(operator, ROI_LIST)
    for shown in ("10 months", "1,200 $", "12,000 $", "2,400 $"):
        assert shown in listed


def test_inputs_are_changed_and_the_result_with_them(operator: Client) -> None:
    operator.post(ROI_ADD, entered())
    change = reverse("admin:billing_roicase_change", args=[RoiCase.objects.get().pk])
    assert 'value="2000"' in page_of(operator, change)
    operator.post(change, entered(monthly_after_nanos="2500", journal_due_at=""))
    page = page_of(operator, change)
    assert "never" in page
    assert "a month costs no less with it" in page
    operator.post(change, entered(hours="0", journal_due_at=""))
    page = page_of(operator, change)
    assert "at once" in page
    assert "nothing was invested" in page
    refused = operator.post(change, entered(hours="-1", journal_due_at=""))
    assert refused.status_code == 200
    assert RoiCase.objects.get().hours == 0


def test_without_a_cost_after_the_last_month_is_measured_once_for_all(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        operator.post(ROI_ADD, entered(name=f"Case {number}", monthly_after_nanos=""))
    with django_assert_max_num_queries(8):
        page_of(operator, ROI_LIST)
    change = reverse("admin:billing_roicase_change", args=[RoiCase.objects.earliest("pk").pk])
    assert "The cost after is measured" in page_of(operator, change)


def test_a_tag_is_made_and_journalled(operator: Client, admin_user: User) -> None:
    sales = DepartmentFactory()
    url = reverse("admin:billing_costtag_add")
    values = {"code": "launch", "department": sales.pk, "set_by": "HEADS", "journal_reason": "q4"}
    assert operator.post(url, values).status_code == 302
    assert CostTag.objects.get().department == sales
    revision = Revision.objects.get()
    assert (revision.author, revision.reason) == (admin_user, "q4")
    again = operator.post(url, values)
    assert again.status_code == 200
    assert CostTag.objects.count() == 1


@pytest.mark.parametrize("url", [REPORT, ROI_ADD, ROI_LIST])
def test_these_pages_are_for_operators(client: Client, owner: User, url: str) -> None:
    assert client.get(url).status_code == 302
    client.force_login(owner)
    assert client.get(url).status_code == 302
