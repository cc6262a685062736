"""The parameters of alerts and anomalies act at once."""

from datetime import timedelta

import pytest

from apps.accounts.models import Department, User
from apps.billing import alerts, forecast
from apps.billing.anomalies import service
from apps.billing.anomalies.profile import Costs
from apps.billing.models import Anomaly, Budget, BudgetAlert, BudgetPeriod
from tests.billing.anomalies.test_detection import NOW, TODAY, UNIT, spend, usual
from tests.factories.accounts import UserFactory
from tests.factories.billing import BudgetFactory
from tests.factories.costs import hourly_costs, person_cost
from tests.tuning.test_turning import Turn
from tests.tuning.turning import turns

pytestmark = pytest.mark.django_db


def spent(budget: Budget, nanos: int) -> None:
    """Have the budget's running period count so much."""
    BudgetPeriod.objects.filter(budget=budget).update(spent_nanos=nanos)


@turns("billing.alert_first_percent", "billing.alert_second_percent", "billing.alert_last_percent")
def test_alerts_are_raised_at_the_shares_that_are_set(department: Department, turn: Turn) -> None:
    spent(BudgetFactory(department=department, limit_nanos=100), 45)
    assert alerts.raise_due() == 0
    for place, percent in (("first", 20), ("second", 40), ("last", 45)):
        turn(f"billing.alert_{place}_percent", percent)
    assert alerts.raise_due() == 3
    assert sorted(BudgetAlert.objects.values_list("percent", flat=True)) == [20, 40, 45]


@turns("billing.alert_overrun_probability")
def test_an_overrun_is_told_when_it_is_as_likely_as_is_set(
    department: Department, turn: Turn
) -> None:
    spend(department, usual())
    likely = forecast.month_end(department_id=department.pk, at=NOW)
    # Between the median and what one month in ten costs: likelier than not by a little.
    limit = likely.outcomes_nanos[len(likely.outcomes_nanos) * 3 // 10]
    budget = BudgetFactory(department=department, limit_nanos=limit)
    BudgetPeriod.objects.filter(budget=budget).update(spent_nanos=1)
    assert alerts.raise_overruns(NOW) == 0
    turn("billing.alert_overrun_probability", 0.6)
    assert alerts.raise_overruns(NOW) == 1


def slightly_spiked() -> Costs:
    costs = usual()
    costs[-5] += round(13 * costs.mean())
    return costs


@turns("billing.anomaly_alarms_per_week")
def test_a_larger_alarm_budget_finds_smaller_spikes(department: Department, turn: Turn) -> None:
    spend(department, slightly_spiked())
    turn("billing.anomaly_alarms_per_week", 0.1)
    assert service.detect(NOW) == 0
    turn("billing.anomaly_alarms_per_week", 100)
    assert service.detect(NOW) >= 1


@turns("billing.anomaly_least_excess", "billing.anomaly_least_budget_percent")
@pytest.mark.parametrize("least", ["excess", "budget_percent"])
def test_a_spike_too_small_to_matter_is_left_out(
    department: Department, turn: Turn, least: str
) -> None:
    BudgetFactory(department=department, limit_nanos=1_000_000 * UNIT)
    costs = usual()
    costs[-5] += 1000 * UNIT
    spend(department, costs)
    turn("billing.anomaly_least_excess", 2000.0 if least == "excess" else 1.5)
    turn("billing.anomaly_least_budget_percent", 0.2 if least == "budget_percent" else 0.0)
    assert service.detect(NOW) == 0
    turn(f"billing.anomaly_least_{least}", 0.05)
    assert service.detect(NOW) == 1


@turns("billing.anomaly_hour_percent")
def test_an_hour_may_take_as_much_of_the_month_as_is_set(
    department: Department, turn: Turn
) -> None:
    BudgetFactory(department=department, limit_nanos=1000 * UNIT)
    hourly_costs(department, [30 * UNIT], until=TODAY)
    assert service.detect(NOW) == 0
    turn("billing.anomaly_hour_percent", 3.0)
    assert service.detect(NOW) == 1


@turns("billing.anomaly_person_percent")
def test_a_person_may_make_as_much_of_a_day_as_is_set(
    department: Department, owner: User, turn: Turn
) -> None:
    hourly_costs(department, [UNIT], until=TODAY - timedelta(days=2))
    for person in (owner, *(UserFactory(department=department) for _number in range(2))):
        for day in range(1, 10):
            nanos = UNIT if day > 1 else 30 * UNIT if person == owner else 20 * UNIT
            person_cost(department, person, day=TODAY - timedelta(days=day), nanos=nanos)
    assert service.detect(NOW) == 0
    turn("billing.anomaly_person_percent", 40.0)
    assert service.detect(NOW) == 1
    assert Anomaly.objects.get().detail == str(owner)
