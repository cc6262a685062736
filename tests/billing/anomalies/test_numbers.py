"""Expected cost, its tails, incidents, drifts, and what a difference consists of: numbers in, numbers out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.billing.anomalies import synthetic
from apps.billing.anomalies.decomposition import ModelCost, decompose
from apps.billing.anomalies.drift import find_drift
from apps.billing.anomalies.profile import DAY_HOURS, WEEK_HOURS, Costs, expected, trimmed_mean
from apps.billing.anomalies.scan import (
    COLD_START_HOURS,
    Incident,
    alarm_limit,
    incidents,
    joined,
    scan,
)
from apps.billing.anomalies.tails import Tail

UNIT = 1_000_000_000


def steady(weeks: int) -> Costs:
    """A department that spends 1 to 2 in each hour of work, the same every week."""
    return np.tile(np.rint(synthetic.week() * UNIT), weeks)


def department(weeks: int = 10) -> Costs:
    return synthetic.department(np.random.default_rng(7), weeks=weeks)


def test_the_trimmed_mean_leaves_out_a_tenth_at_each_end_and_what_is_unknown() -> None:
    rows = np.array([[1000.0, *[5.0] * 8, -1000.0], [np.nan] * 9 + [3.0], [np.nan] * 10])
    means = trimmed_mean(rows)
    assert means[:2].tolist() == [5.0, 3.0]
    assert np.isnan(means[2])


def test_a_steady_week_is_expected_again() -> None:
    mean = expected(steady(4))
    inner = mean[3 * WEEK_HOURS :]
    assert inner.sum() == pytest.approx(steady(1).sum(), rel=0.01)
    assert np.all(np.isnan(mean[:WEEK_HOURS]))


def test_what_goes_on_today_does_not_raise_what_is_expected_today() -> None:
    costs = steady(5)
    raised = costs.copy()
    raised[-DAY_HOURS:] *= 100
    assert np.array_equal(expected(raised)[-DAY_HOURS:], expected(costs)[-DAY_HOURS:])


def test_the_level_follows_a_week_that_doubled() -> None:
    costs = np.concatenate([steady(5), 2 * steady(2)])
    last_day, mean = costs[-DAY_HOURS:].sum(), expected(costs)[-DAY_HOURS:].sum()
    assert mean == pytest.approx(last_day, rel=0.02)


def test_an_exponential_tail_gives_back_its_probabilities() -> None:
    residuals = np.random.default_rng(1).exponential(size=20_000)
    tail = Tail.fit(residuals)
    assert tail
    for wanted in (0.01, 0.001):
        assert tail.p_values(np.array([-np.log(wanted)]))[0] == pytest.approx(wanted, rel=0.35)
    assert tail.p_values(np.array([0.1]))[0] == 1


def test_a_tail_of_too_few_peaks_says_nothing() -> None:
    assert Tail.fit(np.zeros(1000)) is None
    assert Tail.fit(np.zeros(0)) is None


def test_chance_alone_stays_within_the_alarm_budget() -> None:
    random = np.random.default_rng(11)
    weeks, count = 26, 6
    limit = alarm_limit(alarms_per_week=3, department_count=count)
    found = 0
    for _number in range(count):
        costs = synthetic.department(random, weeks=weeks, drift=0.0)
        scanned = scan(costs, first=8 * WEEK_HOURS)
        found += len(incidents(costs, scanned, p_limit=limit, least_excess=0))
    # 18 weeks at 3: incidents are fewer than alarms, as hours in a row are one.
    assert 0 < found <= 3 * (weeks - 8)


def test_a_spike_is_one_incident_of_its_own_hours() -> None:
    costs = department()
    begin = 9 * WEEK_HOURS + 2 * DAY_HOURS + 10
    costs[begin : begin + 3] += 40 * costs.mean()
    scanned = scan(costs, first=9 * WEEK_HOURS)
    [incident] = incidents(costs, scanned, p_limit=1e-4, least_excess=0)
    assert incident.first <= begin
    assert incident.stop >= begin + 3
    assert incident.stop - incident.first <= 9


def test_cost_below_the_least_that_matters_is_not_raised() -> None:
    costs = department()
    begin = 9 * WEEK_HOURS + 2 * DAY_HOURS + 10
    excess = 40 * costs.mean()
    costs[begin] += excess
    scanned = scan(costs, first=9 * WEEK_HOURS)
    assert incidents(costs, scanned, p_limit=1e-3, least_excess=excess / 2)
    assert not incidents(costs, scanned, p_limit=1e-3, least_excess=3 * excess)


def test_nothing_is_raised_in_the_cold_start_however_high() -> None:
    costs = np.concatenate([np.zeros(5 * WEEK_HOURS), department(3)])
    costs[5 * WEEK_HOURS + COLD_START_HOURS - 5] *= 1000
    assert np.all(scan(costs, first=0).p_values == 1)


@pytest.mark.parametrize("costs", [np.zeros(0), np.zeros(5 * WEEK_HOURS)])
def test_no_cost_at_all_is_no_incident(costs: Costs) -> None:
    scanned = scan(costs, first=0)
    assert not incidents(costs, scanned, p_limit=1.0, least_excess=1)


def test_incidents_that_lie_close_are_one() -> None:
    whole = joined([Incident(20, 22, 0.1), Incident(10, 14, 0.2), Incident(29, 30, 0.3)])
    assert whole == [Incident(10, 22, 0.1), Incident(29, 30, 0.3)]


COSTS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(
        ModelCost,
        call_count=st.integers(0, 10**6),
        token_count=st.integers(0, 10**9),
        amount_nanos=st.integers(0, 10**15),
    ),
)


@given(usual=COSTS, actual=COSTS, expected_nanos=st.integers(0, 10**15))
def test_the_causes_add_up_to_the_difference_exactly(
    usual: dict[str, ModelCost], actual: dict[str, ModelCost], expected_nanos: int
) -> None:
    causes = decompose(usual=usual, expected_nanos=expected_nanos, actual=actual)
    difference = sum(cost.amount_nanos for cost in actual.values()) - expected_nanos
    assert causes.volume + causes.tokens + causes.price_mix == difference


USUAL = {"small": ModelCost(1000, 10**6, 2 * UNIT), "large": ModelCost(100, 10**5, 8 * UNIT)}


@pytest.mark.parametrize(
    ("cause", "actual"),
    [
        ("volume", {"small": ModelCost(300, 3 * 10**5, 6 * UNIT // 10), "large": ModelCost(30, 3 * 10**4, 24 * UNIT // 10)}),
        ("tokens", {"small": ModelCost(100, 3 * 10**5, 6 * UNIT // 10), "large": ModelCost(10, 3 * 10**4, 24 * UNIT // 10)}),
        ("price_mix", {"small": ModelCost(100, 10**5, 6 * UNIT // 10), "large": ModelCost(10, 10**4, 24 * UNIT // 10)}),
        ("price_mix", {"new": ModelCost(110, 11 * 10**4, 3 * UNIT)}),
    ],
)  # fmt: skip
def test_a_difference_is_put_down_to_what_made_it(cause: str, actual: dict[str, ModelCost]) -> None:
    causes = decompose(usual=USUAL, expected_nanos=UNIT, actual=actual)
    parts = {
        "volume": causes.volume,
        "tokens": causes.tokens,
        "price_mix": causes.price_mix,
    }
    difference = sum(cost.amount_nanos for cost in actual.values()) - UNIT
    assert parts[cause] == pytest.approx(difference, abs=2)


def test_cost_where_none_is_usual_is_volume() -> None:
    causes = decompose(usual={}, expected_nanos=0, actual={"a": ModelCost(1, 1, 5)})
    assert (causes.volume, causes.tokens, causes.price_mix) == (5, 0, 0)


def test_a_department_that_doubles_over_four_weeks_drifts() -> None:
    costs = department(12)
    costs[-4 * WEEK_HOURS :] *= np.linspace(1, 2.2, 4 * WEEK_HOURS)
    drift = find_drift(costs, least_excess=0)
    assert drift
    assert 8 * 7 <= drift.first < drift.stop == 12 * 7
    assert drift.actual > 1.25 * drift.expected
    assert not find_drift(costs, least_excess=drift.actual)


def test_a_steady_department_and_one_spike_are_no_drift() -> None:
    costs = department(12)
    assert not find_drift(costs, least_excess=0)
    costs[-2 * WEEK_HOURS] += costs.sum()
    assert not find_drift(costs, least_excess=0)


def test_drift_needs_two_months() -> None:
    assert not find_drift(department(7), least_excess=0)
    assert not find_drift(np.zeros(12 * WEEK_HOURS), least_excess=0)
