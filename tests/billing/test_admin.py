"""The money pages of the admin: prices to edit, usage to read, totals by month."""

import json
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.billing import services
from apps.billing.calendar import previous_month
from apps.billing.models import Outcome, Purpose, UsageRecord
from apps.billing.types import Usage
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory, call_context

pytestmark = pytest.mark.django_db

NOVEMBER = datetime(2026, 11, 10, tzinfo=UTC)
PAGES = (
    "price_changelist",
    "price_add",
    "reservation_changelist",
    "usagerecord_changelist",
    "usagerecord_totals",
)


def use(
    department_name: str, tokens: int, at: datetime = NOVEMBER, purpose: str = Purpose.ANSWER
) -> None:
    department = DepartmentFactory(name=department_name)
    reserved = services.reserve(
        context=call_context(department_id=department.pk, purpose=purpose),
        provider_code="provider",
        model_code="model",
        max_input_tokens=1,
        max_output_tokens=1,
        at=at,
    )
    services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=tokens),
        elapsed_ms=1,
    )


@pytest.mark.parametrize("name", PAGES)
def test_operators_may_enter_and_nobody_else(
    client: Client, admin_user: User, owner: User, name: str
) -> None:
    url = reverse(f"admin:billing_{name}")
    use("Sales", 1)
    assert client.get(url).status_code == 302
    client.force_login(owner)
    assert client.get(url).status_code == 302
    client.force_login(admin_user)
    assert client.get(url).status_code == 200


def test_the_totals_of_a_month_are_its_own(
    client: Client, admin_user: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    PriceFactory(nanos_per_million_tokens=10**15)
    use("Sales", 2)
    use("Support", 5, purpose=Purpose.TITLE)
    use("Research", 90, at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    client.force_login(admin_user)
    with django_assert_max_num_queries(8):
        response = client.get(reverse("admin:billing_usagerecord_totals"), {"month": "2026-11"})
    page = response.content.decode()
    assert page.index("Support") < page.index("Sales")
    assert "Research" not in page
    assert "7.00 $" in page
    assert "?month=2026-10" in page


@pytest.mark.parametrize("month", ["", "2026-13", "x", "0001-01", "2000-01", "2099-12", "9999-12"])
def test_any_month_that_is_asked_for_is_answered(
    client: Client, admin_user: User, month: str
) -> None:
    client.force_login(admin_user)
    url = reverse("admin:billing_usagerecord_totals")
    assert client.get(url, {"month": month}).status_code == 200


def test_records_and_reservations_can_only_be_read(client: Client, admin_user: User) -> None:
    use("Sales", 1)
    client.force_login(admin_user)
    record = UsageRecord.objects.get()
    for kind in ("usagerecord", "reservation"):
        assert client.get(reverse(f"admin:billing_{kind}_add")).status_code == 403
        change = reverse(f"admin:billing_{kind}_change", args=[record.pk])
        assert client.get(change).status_code == 200
        assert client.post(change, {}).status_code == 403
        delete = reverse(f"admin:billing_{kind}_delete", args=[record.pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403


def test_the_report_sums_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    PriceFactory(nanos_per_million_tokens=1_000_000)
    use("Sales", 2)
    use("Support", 5)
    call_command("billing_report", "--json", "--from", "2026-11-01", "--to", "2026-12-01")
    report = json.loads(capsys.readouterr().out)
    assert (report["total_nanos"], report["call_count"]) == (7, 2)
    assert [total["name"] for total in report["departments"]] == ["Support", "Sales"]
    for kind in ("departments", "llm_models", "purposes"):
        assert sum(total["amount_nanos"] for total in report[kind]) == 7
    call_command("billing_report", "--from", "2026-11-01", "--to", "2026-12-01")
    assert "Support" in capsys.readouterr().out


def test_the_month_before_january_is_december() -> None:
    assert previous_month(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2025, 12, 1, tzinfo=UTC)
