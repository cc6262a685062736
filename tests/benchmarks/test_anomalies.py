"""Forecasts and the detection of unexpected cost, measured on made departments and labelled series. Run by `make bench`.

The figures are those of the shipped code; the suite has small versions of the same (tests/billing).
"""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from apps.billing.management.commands.billing_evaluate_anomalies import BESIDE
from tests.billing.test_forecast import backtest

pytestmark = pytest.mark.benchmark

MONTHS = 600
# METHODS: false incidents a day over sixty departments, of an alarm budget of two and of five.
BUDGETS_A_DAY = (2, 5)


def report(capsys: pytest.CaptureFixture[str], figures: Any) -> None:
    with capsys.disabled():
        print("\n" + json.dumps(figures, indent=1))  # noqa: T201 - a benchmark reports


def test_eight_in_ten_months_end_within_the_interval(capsys: pytest.CaptureFixture[str]) -> None:
    coverage, ours, pace = backtest(count=MONTHS, seed=1)
    report(
        capsys,
        {"coverage_of_80_percent": coverage, "pinball_loss": ours, "pinball_loss_of_pace": pace},
    )
    assert 0.75 <= coverage <= 0.85
    assert ours < pace


@pytest.mark.django_db
@pytest.mark.skipif(not BESIDE.is_dir(), reason=f"the labelled series are not at {BESIDE}")
@pytest.mark.parametrize("a_day", BUDGETS_A_DAY)
def test_most_spikes_are_found_within_the_alarm_budget(
    capsys: pytest.CaptureFixture[str], a_day: int
) -> None:
    output = StringIO()
    call_command(
        "billing_evaluate_anomalies", alarms_per_week=7.0 * a_day, json=True, stdout=output
    )
    figures = json.loads(output.getvalue())
    report(capsys, figures)
    for ours, theirs in zip(
        figures["synthetic"]["shipped"], figures["synthetic"]["naive"], strict=True
    ):
        assert ours["false_a_week"] <= 7 * a_day
        assert theirs["false_a_week"] > 7 * a_day
    assert figures["synthetic"]["shipped"][2]["recall"] >= 0.8
    ours, theirs = (figures["series"][name][-1] for name in ("shipped", "naive"))
    assert ours["false_a_week"] < theirs["false_a_week"]
