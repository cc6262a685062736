"""The report of a span: the same sums by department, model and purpose."""

import json
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from apps.billing.calendar import previous_month
from tests.billing.admin.made import UNIT, Spender, priced
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db

NOVEMBER = datetime(2026, 11, 10, tzinfo=UTC)


def test_the_report_sums_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    priced("model")
    Spender(DepartmentFactory(name="Sales")).spend(2, at=NOVEMBER)
    Spender(DepartmentFactory(name="Support")).spend(5, at=NOVEMBER)
    call_command("billing_report", "--json", "--from", "2026-11-01", "--to", "2026-12-01")
    report = json.loads(capsys.readouterr().out)
    assert (report["total_nanos"], report["call_count"]) == (7 * UNIT, 2)
    assert [total["name"] for total in report["departments"]] == ["Support", "Sales"]
    for kind in ("departments", "llm_models", "purposes"):
        assert sum(total["amount_nanos"] for total in report[kind]) == 7 * UNIT
    call_command("billing_report", "--from", "2026-11-01", "--to", "2026-12-01")
    assert "Support" in capsys.readouterr().out


def test_the_month_before_january_is_december() -> None:
    assert previous_month(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2025, 12, 1, tzinfo=UTC)
