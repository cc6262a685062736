"""The commands of months: close, report; the FOCUS export has its own tests."""

import json
from datetime import date
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Department
from apps.billing.models import MonthClose, SharedCost
from tests.billing.statements.making import called, opened, set_prices, settled
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sales(db: None) -> Department:
    """A department that used something in November 2025, beside another."""
    set_prices()
    sales = DepartmentFactory(code="sales", name="Sales")
    called(sales)
    called(DepartmentFactory(code="service", name="Service"), usage={"input_tokens": 77})
    SharedCost.objects.create(
        name="Platform", method="EVEN", amount_nanos=11, starts_on=date(2025, 11, 1)
    )
    return sales


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    call_command(*command)
    return capsys.readouterr().out


def in_json(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(said(capsys, *command, "--json"))
    return loaded


def test_a_dry_run_shows_what_a_close_then_freezes(
    sales: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    call = opened(sales)
    close = ("billing_close_month", "--month", "2025-11")
    preview = in_json(capsys, *close, "--dry-run")
    assert (preview["is_closed"], len(preview["obstacles"])) == (False, 1)
    with pytest.raises(CommandError, match="1 call opened in the month has not ended"):
        call_command(*close)
    assert not MonthClose.objects.exists()
    settled(call.reservation_id)

    assert "Preview of November 2025" in said(capsys, *close, "--dry-run")
    closed = in_json(capsys, *close)
    assert (closed["is_closed"], closed["was_closed"], closed["obstacles"]) == (True, False, [])
    assert closed["total_nanos"] == sum(one["total_nanos"] for one in closed["statements"])
    assert [one["department_code"] for one in closed["statements"]] == ["sales", "service"]
    again = in_json(capsys, *close)
    assert again == {**closed, "was_closed": True}
    assert "was closed before" in said(capsys, *close)


@pytest.mark.parametrize(
    ("month", "says"), [("2025-00", "no month"), ("November", "no month"), ("2999-01", "begun")]
)
def test_what_is_no_month_is_refused(month: str, says: str) -> None:
    for command in ("billing_close_month", "billing_report"):
        with pytest.raises(CommandError, match=says):
            call_command(command, "--month", month)


def test_the_report_of_a_month_has_its_statements(
    sales: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ("billing_report", "--month", "2025-11")
    everything = in_json(capsys, *report)
    assert [one["name"] for one in everything["departments"]] == ["Sales", "Service"]
    statements = everything["statements"]
    assert [one["is_closed"] for one in statements] == [False, False]
    assert sum(one["usage_nanos"] for one in statements) == everything["total_nanos"]
    assert sum(one["shared_nanos"] for one in statements) == 11

    mine = in_json(capsys, *report, "--department", "sales")
    assert [one["code"] for one in mine["departments"]] == ["sales"]
    assert [one["department_code"] for one in mine["statements"]] == ["sales"]
    assert mine["total_nanos"] == mine["statements"][0]["usage_nanos"]
    assert mine["call_count"] == 1
    assert "preview: the month is open" in said(capsys, *report)
    call_command("billing_close_month", "--month", "2025-11")
    capsys.readouterr()
    frozen = in_json(capsys, *report)
    assert all(one["is_closed"] and one["statement_id"] for one in frozen["statements"])
    assert "Service" in said(capsys, *report)


def test_the_report_of_a_span_can_be_of_one_department(
    sales: Department, capsys: pytest.CaptureFixture[str]
) -> None:
    span = ("billing_report", "--from", "2025-11-15", "--to", "2025-11-16")
    assert in_json(capsys, *span)["call_count"] == 2
    mine = in_json(capsys, *span, "--department", "sales")
    assert mine["call_count"] == 1
    assert "statements" not in mine
    with pytest.raises(CommandError, match="no department"):
        call_command(*span, "--department", "none")
    with pytest.raises(CommandError, match="not both"):
        call_command(*span, "--month", "2025-11")
