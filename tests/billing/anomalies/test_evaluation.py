"""The measuring of detection: against departments made by chance, and labelled series in a folder."""

import csv
import json
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.billing.anomalies.evaluation import (
    NoSeriesError,
    Series,
    evaluate_synthetic,
    naive,
    read_series,
    score,
    shipped,
)
from apps.billing.anomalies.scan import Incident
from apps.billing.anomalies.synthetic import Spike, department

BEGIN = datetime(2011, 7, 1, 6, 30)  # noqa: DTZ001 - as the files have it, without a zone


def write_series(folder: Path) -> None:
    """Six weeks of half-hours with a labelled spike in the fifth."""
    random = np.random.default_rng(5)
    hours = department(random, weeks=6) / 1e9 + 1
    (folder / "costs").mkdir(parents=True)
    with (folder / "costs" / "one.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("timestamp", "value"))
        for half in range(2 * len(hours)):
            at = BEGIN + timedelta(minutes=30 * half)
            is_spike = 800 <= half // 2 < 804
            rows.writerow((at, hours[half // 2] + (60 if is_spike else 0)))
    spans = [[str(BEGIN + timedelta(hours=hour)) for hour in (798, 806)]]
    labels = {"costs/one.csv": spans, "costs/missing.csv": spans}
    (folder / "windows.json").write_text(json.dumps(labels))


def test_most_spikes_are_found_within_the_alarm_budget_and_the_naive_rule_breaks_it() -> None:
    # A budget of two a day for sixty departments, as in the benchmark; a quarter of them here.
    budget = 14 / 4
    ours = evaluate_synthetic(
        shipped(alarms_per_week=budget, department_count=15), factor=8, department_count=15
    )
    theirs = evaluate_synthetic(naive, factor=8, department_count=15)
    assert ours.recall is not None
    assert ours.recall >= 0.8
    assert ours.false_a_week <= budget
    assert theirs.false_a_week > 5 * budget


def test_a_window_counts_once_and_what_follows_it_within_a_day_is_not_false() -> None:
    series = Series("one", np.ones(1000), [Spike(100, 110), Spike(600, 610)])
    raised = [Incident(605, 606, 0), Incident(608, 620, 0), Incident(630, 631, 0), Incident(700, 701, 0)]  # fmt: skip
    result = score("one", lambda _costs, _first: raised, series, first=500)
    assert (result.windows, result.found, result.false_incidents) == (1, 1, 1)
    assert result.recall == 1
    assert result.false_a_week == pytest.approx(168 / 500)


def test_series_are_read_by_the_hour_from_the_first_whole_day(tmp_path: Path) -> None:
    write_series(tmp_path)
    [series] = read_series(tmp_path)
    assert series.name == "costs/one"
    # 06:30 on: the first whole day begins 17.5 hours later.
    [window] = series.windows
    assert window == Spike(780, 789)
    assert series.costs[783:786].min() > 30


def test_a_folder_without_series_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSeriesError, match=r"windows\.json"):
        read_series(tmp_path)
    (tmp_path / "windows.json").write_text('{"a.csv": []}')
    with pytest.raises(NoSeriesError, match="none of the files"):
        read_series(tmp_path)


@pytest.mark.django_db
def test_the_command_prints_its_figures(tmp_path: Path) -> None:
    write_series(tmp_path)
    output = StringIO()
    call_command(
        "billing_evaluate_anomalies", data=tmp_path, departments=6, json=True, stdout=output
    )
    figures: dict[str, Any] = json.loads(output.getvalue())
    assert figures["alarms_per_week"] == 3
    one, total = figures["series"]["shipped"]
    assert (one["name"], one["windows"], one["found"]) == ("costs/one", 1, 1)
    assert total["recall"] == 1
    spikes = figures["synthetic"]["shipped"]
    assert [score["name"] for score in spikes] == ["×3", "×5", "×8"]
    assert spikes[2]["windows"] == 6
    assert spikes[2]["recall"] > 0.5


@pytest.mark.django_db
def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No labelled series.*--data"):
        call_command("billing_evaluate_anomalies", data=tmp_path)
    with pytest.raises(CommandError, match="no number above 0"):
        call_command("billing_evaluate_anomalies", "--alarms-per-week", "-1")
    with pytest.raises(CommandError, match="no whole number from 1"):
        call_command("billing_evaluate_anomalies", "--departments", "0")
