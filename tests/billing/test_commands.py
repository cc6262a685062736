"""Billing's commands: the report sums the same by everything, and what makes no sense is answered with what to do."""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.billing.calendar import previous_month
from apps.billing.models import MonthClose
from tests.billing.admin.made import UNIT, Spender, priced
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db

NOVEMBER = datetime(2026, 11, 10, tzinfo=UTC)
# What a command line gives for a byte that is no UTF-8.
ODD = "\udcff"


def test_the_report_sums_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    priced("model")
    Spender(DepartmentFactory(name="Sales", code="sales")).spend(2, at=NOVEMBER)
    Spender(DepartmentFactory(name="Support", code="support")).spend(5, at=NOVEMBER)
    call_command("billing_report", "--json", "--from", "2026-11-01", "--to", "2026-12-01")
    report = json.loads(capsys.readouterr().out)
    assert (report["total_nanos"], report["call_count"]) == (7 * UNIT, 2)
    assert [(one["name"], one["code"]) for one in report["departments"]] == [
        ("Support", "support"),
        ("Sales", "sales"),
    ]
    for kind in ("departments", "llm_models", "purposes"):
        assert sum(total["amount_nanos"] for total in report[kind]) == 7 * UNIT
    call_command("billing_report", "--from", "2026-11-01", "--to", "2026-12-01")
    assert "Support" in capsys.readouterr().out


def test_the_month_before_january_is_december() -> None:
    assert previous_month(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2025, 12, 1, tzinfo=UTC)


ABSURD: tuple[tuple[tuple[str, ...], str], ...] = (
    (("billing_report", "--from", "9999-12-31T23:59:59-23:00"), "between the years 2000 and 2999"),
    (("billing_report", "--to", "0001-01-01T00:00:00+23:00"), "between the years 2000 and 2999"),
    (("billing_report", "--from", "yesterday"), "write it like"),
    (("billing_report", "--from", "2026-11-02", "--to", "2026-11-01"), "in order"),
    (("billing_report", "--from", "2026-11-02", "--to", "2026-11-02"), "in order"),
    (("billing_report", "--month", "2026-10", "--to", "2026-11-02"), "not both"),
    (("billing_report", "--month", ""), "write it like"),
    (("billing_report", "--department", ODD), "no department"),
    (("billing_report", "--department", "a\0b"), "no department"),
    (("billing_report", "--department", ""), "no department"),
    (("billing_savings", "--month", "0000-00"), "no month"),
    (("billing_savings", "--month", "9999-12"), "no month"),
    (("billing_savings", "--month", ODD), "no month"),
    (("billing_close_month", "--month", "0000-00"), "write it like"),
    (("billing_close_month", "--month", "1999-12"), "long before"),
    (("billing_close_month", "--month", "9999-12"), "not begun"),
    (("billing_close_month", "--month", ODD), "write it like"),
    (("billing_export_focus", "--month", "9999-12"), "not begun"),
    (("billing_export_focus", "--month", "0001-01"), "long before"),
    (("billing_export_focus", "--month", "2025-11", "--department", ODD), "no department"),
    (("billing_export_focus", "--month", "2025-11", "--output", "/dev/null"), "is no file"),
    (("billing_export_focus", "--month", "2025-11", "--output", "/"), "is no file"),
    (("billing_recompute_rollups", "--month", "0000-00"), "write it like"),
    (("billing_recompute_rollups", "--month", "0001-01"), "long before"),
    (("billing_recompute_rollups", "--month", "9999-12"), "not begun"),
    (("billing_evaluate_anomalies", "--departments", "-3"), "no whole number"),
    (("billing_evaluate_anomalies", "--departments", "999999999"), "no whole number"),
    (("billing_evaluate_anomalies", "--seed", "-1"), "no whole number"),
    (("billing_evaluate_anomalies", "--alarms-per-week", "nan"), "no number above 0"),
    (("billing_evaluate_anomalies", "--data", "/none/such"), "--data"),
)


@pytest.mark.parametrize(("command", "says"), ABSURD)
def test_what_makes_no_sense_is_refused_in_words(command: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command(*command)
    assert not MonthClose.objects.exists()


@pytest.mark.parametrize("windows", ["[]", "{", '{"a.csv": 3}', '{"a.csv": [["x", "y"]]}', '"a"'])
def test_labelled_series_that_are_none_are_refused_in_words(windows: str, tmp_path: Path) -> None:
    (tmp_path / "windows.json").write_text(windows)
    (tmp_path / "a.csv").write_text("timestamp,value\nnever,much\n")
    with pytest.raises(CommandError, match="--data"):
        call_command("billing_evaluate_anomalies", "--data", str(tmp_path))


def test_an_export_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    folder, name = tmp_path / "folder", "n" * 300
    folder.mkdir()
    for output in (folder, tmp_path / "none" / "focus.csv", tmp_path / name):
        with pytest.raises(CommandError, match="--output"):
            call_command("billing_export_focus", "--month", "2025-11", "--output", str(output))
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
    assert list(folder.iterdir()) == []


def test_a_reader_that_leaves_is_no_traceback() -> None:
    """As with `billing_export_focus … | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    out = os.fdopen(writing, "w", buffering=1)
    with pytest.raises(CommandError, match="--output"):
        call_command("billing_export_focus", "--month", "2025-11", stdout=out)
    with suppress(BrokenPipeError):
        out.close()
