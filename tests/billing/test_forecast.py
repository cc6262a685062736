"""The forecast of a month's end: what it is made of, how sure it is, and what it says with little to go by."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from apps.accounts.models import Department, User
from apps.billing import forecast
from apps.billing.anomalies import series, synthetic
from apps.billing.anomalies.profile import DAY_HOURS, WEEK_HOURS
from apps.billing.costs import rollups
from apps.billing.forecast import foresee
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory, settled_call
from tests.factories.costs import hourly_costs

UNIT = 1_000_000_000


def steady(weeks: int) -> np.ndarray:
    return np.tile(np.rint(synthetic.week() * UNIT), weeks)


def backtest(*, count: int, seed: int) -> tuple[float, float, float]:
    """Coverage of the 80 % interval, and the pinball loss against carrying on the month's pace, of made departments."""
    random = np.random.default_rng(seed)
    levels = np.array([0.1, 0.5, 0.9])
    covered, ours, paces = [], [], []

    def loss(actual: float, foreseen: np.ndarray) -> float:
        error = actual - foreseen
        return float(np.maximum(levels * error, (levels - 1) * error).mean() / actual)

    for _number in range(count):
        costs = synthetic.department(random, weeks=14, drift=float(random.uniform(0, 0.1)))
        begin = 8 * WEEK_HOURS + int(random.integers(0, WEEK_HOURS))
        now = begin + int(random.integers(2 * DAY_HOURS, 28 * DAY_HOURS))
        end = begin + 30 * DAY_HOURS
        spent, actual = int(costs[begin:now].sum()), float(costs[begin:end].sum())
        one = foresee(
            spent_nanos=spent, costs=costs[now - 8 * WEEK_HOURS : now], hours_left=end - now
        )
        covered.append(one.p10_nanos <= actual <= one.p90_nanos)
        ours.append(loss(actual, np.array([one.p10_nanos, one.p50_nanos, one.p90_nanos])))
        paces.append(loss(actual, np.full(3, spent / (now - begin) * (end - begin))))
    return float(np.mean(covered)), float(np.mean(ours)), float(np.mean(paces))


def test_eight_in_ten_months_end_within_the_interval_and_the_pace_does_worse() -> None:
    # A small one; tests/benchmarks/test_anomalies.py has the figures.
    coverage, ours, pace = backtest(count=80, seed=2)
    assert 0.7 <= coverage <= 0.9
    assert ours < 0.6 * pace


def test_a_steady_department_goes_on_as_it_did() -> None:
    costs = steady(8)
    one = foresee(spent_nanos=5 * UNIT, costs=costs, hours_left=2 * WEEK_HOURS)
    rest = int(costs[: 2 * WEEK_HOURS].sum())
    assert one.has_history
    assert one.p50_nanos == pytest.approx(5 * UNIT + rest, rel=0.02)
    assert one.p10_nanos < one.p50_nanos < one.p90_nanos < 5 * UNIT + 2 * rest


def test_the_hours_of_the_week_to_come_are_those_that_count() -> None:
    costs = steady(8)
    # It is Saturday, 0:00: the history ends there, and a weekend costs little.
    saturday = costs[: -2 * DAY_HOURS]
    weekend = foresee(spent_nanos=0, costs=saturday, hours_left=2 * DAY_HOURS)
    assert weekend.p50_nanos == pytest.approx(costs[-2 * DAY_HOURS :].sum(), rel=0.1)
    half_an_hour = foresee(spent_nanos=0, costs=saturday[: -10 * 1], hours_left=0.5)
    assert half_an_hour.p90_nanos < 2 * costs.max()


def test_the_level_follows_the_last_weeks() -> None:
    costs = np.concatenate([steady(4), 2 * steady(4)])
    one = foresee(spent_nanos=0, costs=costs, hours_left=WEEK_HOURS)
    assert one.p50_nanos == pytest.approx(2 * steady(1).sum(), rel=0.1)


def test_the_probability_of_an_overrun_falls_with_the_limit() -> None:
    one = foresee(spent_nanos=10, costs=synthetic.department(np.random.default_rng(1), weeks=8), hours_left=300)  # fmt: skip
    assert one.overrun_probability(0) == 1
    assert one.overrun_probability(one.p10_nanos) == pytest.approx(0.9, abs=0.01)
    assert one.overrun_probability(one.p50_nanos) == pytest.approx(0.5, abs=0.01)
    assert one.overrun_probability(one.p90_nanos) == pytest.approx(0.1, abs=0.01)
    assert one.overrun_probability(10**15) == 0


def test_the_same_is_foreseen_twice() -> None:
    costs = synthetic.department(np.random.default_rng(1), weeks=8)
    assert foresee(spent_nanos=1, costs=costs, hours_left=99) == foresee(
        spent_nanos=1, costs=costs, hours_left=99
    )


def test_little_history_carries_the_pace_on_within_a_factor_of_two() -> None:
    costs = np.concatenate([np.zeros(6 * WEEK_HOURS), steady(2)])
    one = foresee(spent_nanos=UNIT, costs=costs, hours_left=WEEK_HOURS)
    rest = steady(1).sum()
    assert not one.has_history
    assert one.p10_nanos == pytest.approx(UNIT + rest / 2, rel=0.02)
    assert one.p50_nanos == pytest.approx(UNIT + rest, rel=0.02)
    assert one.p90_nanos == pytest.approx(UNIT + 2 * rest, rel=0.02)
    assert 0 < one.overrun_probability(one.p90_nanos) < 0.11


@pytest.mark.parametrize("costs", [np.zeros(8 * WEEK_HOURS), np.append(np.zeros(500), UNIT)])
def test_nothing_is_foreseen_of_no_day(costs: np.ndarray) -> None:
    one = foresee(spent_nanos=7, costs=costs, hours_left=300)
    assert (one.p10_nanos, one.p50_nanos, one.p90_nanos, one.has_history) == (7, 7, 7, False)
    assert (one.overrun_probability(6), one.overrun_probability(7)) == (1, 0)


def test_weeks_without_any_cost_are_no_error() -> None:
    costs = np.concatenate([steady(2), np.zeros(4 * WEEK_HOURS), steady(2)])
    assert foresee(spent_nanos=0, costs=costs, hours_left=100).p90_nanos > 0
    idle = foresee(spent_nanos=3, costs=np.append(np.zeros(1343), 1.0), hours_left=100)
    assert idle.p90_nanos == 3
    long_idle = np.zeros(8 * WEEK_HOURS)
    long_idle[0] = 1
    assert foresee(spent_nanos=3, costs=long_idle, hours_left=100).p90_nanos < 1000


def test_a_month_after_a_long_pause_has_an_end() -> None:
    costs = np.concatenate([steady(5), np.zeros(3 * WEEK_HOURS)])
    found = foresee(spent_nanos=0, costs=costs, hours_left=700)
    weeks = 700 / WEEK_HOURS
    assert max(found.outcomes_nanos) <= 100 * steady(1).sum() * weeks * 1.5


def test_at_the_months_end_it_is_what_was_spent() -> None:
    one = foresee(spent_nanos=42, costs=steady(8), hours_left=0)
    assert (one.p10_nanos, one.p90_nanos) == (42, 42)


@pytest.mark.django_db(transaction=True)
def test_a_department_and_all_together_are_foreseen_from_their_totals(
    department: Department, owner: User
) -> None:
    other = DepartmentFactory()
    now = datetime(2026, 11, 16, 0, 30, tzinfo=UTC)
    for one in (department, other):
        hourly_costs(one, steady(8), until=series.hour_of(now))
    PriceFactory()
    spent = settled_call(department_id=department.pk, at=now - timedelta(minutes=5)).amount_nanos
    ours = forecast.month_end(department_id=department.pk, at=now)
    together = forecast.month_end(department_id=None, at=now)
    # Those of the call are the only ones spent: the totals made above have no days or months.
    assert ours.spent_nanos == together.spent_nanos == spent
    # From Monday on, fourteen days and 23.5 hours.
    rest = 2 * steady(1).sum() + steady(1)[:DAY_HOURS].sum()
    assert ours.p50_nanos == pytest.approx(rest, rel=0.03)
    assert together.p50_nanos == pytest.approx(2 * rest, rel=0.03)
    assert forecast.month_end(department_id=DepartmentFactory().pk, at=now).p90_nanos == 0


@pytest.mark.django_db
def test_hours_are_read_as_the_billing_time_zone_has_them(
    department: Department, settings: Any
) -> None:
    settings.BILLING_TIME_ZONE = "Asia/Kolkata"
    moment = datetime(2026, 11, 16, 12, 40, tzinfo=ZoneInfo("Asia/Kolkata"))
    hour = series.hour_of(moment)
    assert hour == datetime(2026, 11, 16, 6, 30, tzinfo=UTC)
    hourly_costs(department, [1, 2, 3], until=hour)
    since = hour - timedelta(hours=4)
    assert series.total(since=since, until=hour).tolist() == [0, 1, 2, 3]
    assert series.by_department(since=since, until=hour)[department.pk].tolist() == [0, 1, 2, 3]
    assert series.total(since=since, until=hour, department_ids=()).tolist() == [0] * 4


@pytest.mark.django_db(transaction=True)
def test_settled_calls_are_in_the_series_once_they_are_added_up(department: Department) -> None:
    PriceFactory()
    at = datetime(2026, 11, 16, 12, 40, tzinfo=UTC)
    amounts = [settled_call(department_id=department.pk, at=at).amount_nanos for _ in range(3)]
    assert rollups.roll_up_batch(limit=10) == 3
    since = series.hour_of(at) - timedelta(hours=1)
    found = series.total(since=since, until=since + timedelta(hours=3))
    assert found.tolist() == [0, sum(amounts), 0]
