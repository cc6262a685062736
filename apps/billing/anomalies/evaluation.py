"""How well incidents are found and how many are false: on departments made by chance, and on labelled public series."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from apps.billing.anomalies import synthetic
from apps.billing.anomalies.profile import DAY_HOURS, WEEK_HOURS, Costs
from apps.billing.anomalies.scan import (
    COLD_START_HOURS,
    SCALES,
    TAIL_HOURS,
    Incident,
    alarm_limit,
    incidents,
    joined,
    scan,
)
from apps.billing.anomalies.synthetic import Spike

NAIVE_Z = 3.0
HISTORY_WEEKS, TEST_WEEKS = 12, 4
# The longest sum looked at: what is raised in the hours after a window that such a sum still holds is its.
LATE_HOURS = max(SCALES)

Detector = Callable[[Costs, int], list[Incident]]


class NoSeriesError(Exception):
    """The folder holds no labelled series."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a detector did: labelled windows it could have found, those it found, and incidents outside of all of them."""

    name: str
    windows: int
    found: int
    false_incidents: int
    weeks: float

    @property
    def recall(self) -> float | None:
        """The share of windows found; None without any."""
        return self.found / self.windows if self.windows else None

    @property
    def false_a_week(self) -> float:
        """False incidents a week."""
        return self.false_incidents / self.weeks if self.weeks else 0.0


@dataclass(frozen=True, slots=True)
class Series:
    """One labelled series by the hour; `windows` are spans of hours."""

    name: str
    costs: Costs
    windows: Sequence[Spike]


def shipped(
    *, alarms_per_week: float, department_count: int, least_excess: float = 0.0
) -> Detector:
    """Return the detector as it runs, with an alarm budget over so many departments."""
    p_limit = alarm_limit(alarms_per_week=alarms_per_week, department_count=department_count)

    def detect(costs: Costs, first: int) -> list[Incident]:
        found = scan(costs, first=first)
        return incidents(costs, found, p_limit=p_limit, least_excess=least_excess)

    return detect


def naive(costs: Costs, first: int) -> list[Incident]:
    """Raise hours more than three standard deviations above the mean of the six weeks before their day."""
    found = []
    for day in range(first // DAY_HOURS * DAY_HOURS, len(costs), DAY_HOURS):
        before = costs[max(0, day - TAIL_HOURS) : day]
        limit = before.mean() + NAIVE_Z * before.std()
        hours = np.flatnonzero(costs[day : day + DAY_HOURS] > limit) + day
        found += [Incident(int(hour), int(hour) + 1, 0.0) for hour in hours if hour >= first]
    return joined(found)


def score(name: str, detector: Detector, series: Series, *, first: int) -> Score:
    """Return how the detector does on one series from index `first` on; windows over before it don't count."""
    raised = detector(series.costs, first)
    windows = [window for window in series.windows if window.stop > first]
    hit = [
        any(one.first < window.stop and one.stop > window.first for one in raised)
        for window in windows
    ]
    false = [
        one
        for one in raised
        if not any(
            one.first < window.stop + LATE_HOURS and one.stop > window.first
            for window in series.windows
        )
    ]
    weeks = (len(series.costs) - first) / WEEK_HOURS
    return Score(name, len(windows), sum(hit), len(false), max(weeks, 0.0))


def total(name: str, scores: Sequence[Score]) -> Score:
    """Return the sum over series that ran side by side: weeks are those of the longest, as alarms a week add up."""
    return Score(
        name,
        sum(one.windows for one in scores),
        sum(one.found for one in scores),
        sum(one.false_incidents for one in scores),
        max((one.weeks for one in scores), default=0.0),
    )


def evaluate_synthetic(
    detector: Detector, *, factor: float, department_count: int = 60, seed: int = 1
) -> Score:
    """Return how a detector does on departments of twelve weeks' history and four weeks' test, a spike in each."""
    random = np.random.default_rng(seed)
    first = HISTORY_WEEKS * WEEK_HOURS
    scores = []
    for number in range(department_count):
        costs = synthetic.department(random, weeks=HISTORY_WEEKS + TEST_WEEKS)
        costs, spike = synthetic.with_spike(random, costs, first=first, factor=factor)
        series = Series(str(number), costs, [spike])
        scores.append(score(series.name, detector, series, first=first))
    return total(f"×{factor:g}", scores)


def evaluate_series(detector: Detector, series: Sequence[Series]) -> list[Score]:
    """Return how a detector does on each labelled series after its cold start."""
    return [score(one.name, detector, one, first=COLD_START_HOURS) for one in series]


def read_series(folder: Path) -> list[Series]:
    """Read the labelled series of a folder laid out as the Numenta Anomaly Benchmark: `windows.json` and CSV files.

    Raises:
        NoSeriesError: there is no `windows.json`, or none of the files it names.
    """
    labels = folder / "windows.json"
    if not labels.is_file():
        raise NoSeriesError(f"{folder} holds no windows.json")
    windows = json.loads(labels.read_text(encoding="utf-8"))
    found = [
        _read(folder / name, spans) for name, spans in windows.items() if (folder / name).is_file()
    ]
    if not found:
        raise NoSeriesError(f"{folder} holds none of the files that windows.json names")
    return found


def _read(file: Path, spans: Sequence[tuple[str, str]]) -> Series:
    """Read one series as means by the hour, from the first whole day on; an hour without values repeats the last."""
    with file.open(encoding="utf-8") as source:
        rows = [(_moment(row["timestamp"]), float(row["value"])) for row in csv.DictReader(source)]
    origin = int(rows[0][0] // (DAY_HOURS * 3600) + 1) * DAY_HOURS
    hours = np.array([int(at // 3600) - origin for at, _value in rows])
    values = np.array([value for _at, value in rows])
    kept = hours >= 0
    count = np.bincount(hours[kept])
    sums = np.bincount(hours[kept], weights=values[kept])
    last = np.maximum.accumulate(np.where(count > 0, np.arange(len(count)), 0))
    means = sums[last] / np.maximum(count[last], 1)
    windows = [
        Spike(int(_moment(begin) // 3600) - origin, int(_moment(end) // 3600) - origin + 1)
        for begin, end in spans
    ]
    return Series(f"{file.parent.name}/{file.stem}", means, windows)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
