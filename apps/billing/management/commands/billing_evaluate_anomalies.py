"""`manage.py billing_evaluate_anomalies`: how much of unexpected cost is found, and how many alarms are false."""

import json
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.billing.anomalies.evaluation import (
    NoSeriesError,
    Score,
    evaluate_series,
    evaluate_synthetic,
    naive,
    read_series,
    shipped,
    total,
)
from apps.core.money import NANOS_PER_UNIT
from apps.tuning import live

# The folder of public data that may stand beside the project's.
BESIDE = Path(__file__).resolve().parents[5] / "shared" / "data" / "nab"
MOST_DEPARTMENTS = 10_000
FACTORS = (3.0, 5.0, 8.0)


class Command(BaseCommand):
    help = (
        "Measure the detection of unexpected cost against the naive rule (z > 3 over six weeks): on departments "
        "made by chance, with twelve weeks of history and four of test, a spike in each, and on the labelled series of "
        "the Numenta Anomaly Benchmark. Recall is by labelled window; a false alarm is an incident outside of all."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--data",
            type=Path,
            default=BESIDE,
            help="folder with windows.json and the series it names (default: ../shared/data/nab beside the project)",
        )
        parser.add_argument(
            "--alarms-per-week",
            type=_positive,
            help="the alarm budget over all departments (default: billing.anomaly_alarms_per_week)",
        )
        parser.add_argument(
            "--departments", type=_count, default=60, help="how many are made (default: 60)"
        )
        parser.add_argument("--seed", type=_seed, default=1, help="of the made departments")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        alarms = options["alarms_per_week"] or live.number("billing.anomaly_alarms_per_week")
        try:
            series = read_series(options["data"])
        # The last four: the file is there, but of another shape.
        except (
            NoSeriesError,
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise CommandError(
                f"No labelled series: {error}. Name a folder with --data that holds windows.json and the CSV files it names."
            ) from error
        labelled = shipped(alarms_per_week=alarms, department_count=len(series))
        figures = {
            "alarms_per_week": alarms,
            "departments": options["departments"],
            "synthetic": _synthetic(
                alarms, department_count=options["departments"], seed=options["seed"]
            ),
            "series": {
                "shipped": _figures(evaluate_series(labelled, series)),
                "naive": _figures(evaluate_series(naive, series)),
            },
        }
        self.stdout.write(json.dumps(figures) if options["json"] else _text(figures))


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text} is no number above 0")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text} is no whole number from 0")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_DEPARTMENTS:
        raise ArgumentTypeError(f"{text} is no whole number from 1 to {MOST_DEPARTMENTS}")
    return int(text)


def _synthetic(
    alarms: float, *, department_count: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    least = live.number("billing.anomaly_least_excess") * NANOS_PER_UNIT
    detectors = {
        "shipped": shipped(alarms_per_week=alarms, department_count=department_count),
        "shipped_with_materiality": shipped(
            alarms_per_week=alarms, department_count=department_count, least_excess=least
        ),
        "naive": naive,
    }
    return {
        name: [
            _line(
                evaluate_synthetic(
                    detector, factor=factor, department_count=department_count, seed=seed
                )
            )
            for factor in FACTORS
        ]
        for name, detector in detectors.items()
    }


def _figures(scores: Sequence[Score]) -> list[dict[str, Any]]:
    lines = [_line(score) for score in scores]
    whole = _line(total("total", scores))
    # Side by side, as the departments of one organisation: their alarms a week add up.
    whole["false_a_week"] = round(sum(score.false_a_week for score in scores), 2)
    return [*lines, whole]


def _line(score: Score) -> dict[str, Any]:
    return {
        "name": score.name,
        "windows": score.windows,
        "found": score.found,
        "recall": None if score.recall is None else round(score.recall, 3),
        "false_incidents": score.false_incidents,
        "weeks": round(score.weeks, 2),
        "false_a_week": round(score.false_a_week, 2),
    }


def _text(figures: dict[str, Any]) -> str:
    lines = [f"alarm budget: {figures['alarms_per_week']:g} a week over all departments", ""]
    lines.append(
        f"{figures['departments']} made departments, a spike in each (multiplied cost, 1 to 6 hours)"
    )
    for name, scores in figures["synthetic"].items():
        lines += _table(name.replace("_", " "), scores)
    lines += ["", "labelled series, after a cold start of three weeks each"]
    for name, scores in figures["series"].items():
        lines += _table(name, scores)
    return "\n".join(lines)


def _table(name: str, scores: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"  {name:<50} windows  found  recall  false  weeks  false/week"]
    lines += [
        f"    {one['name']:<48} {one['windows']:>7} {one['found']:>6} {_share(one['recall']):>7}"
        f" {one['false_incidents']:>6} {one['weeks']:>6.1f} {one['false_a_week']:>11.2f}"
        for one in scores
    ]
    return lines


def _share(recall: float | None) -> str:
    return "–" if recall is None else f"{recall:.2f}"
