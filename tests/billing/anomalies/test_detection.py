"""Detection over the departments' totals: what is found, kept once, told once, and seen to."""

import smtplib
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend

from apps.accounts.models import Department, Membership, User
from apps.billing.anomalies import mailing, service, synthetic
from apps.billing.anomalies.profile import DAY_HOURS, Costs
from apps.billing.models import Anomaly, HourlyCost, PersonCost
from apps.billing.tasks import detect_anomalies
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory
from tests.factories.costs import hourly_costs, person_cost

pytestmark = pytest.mark.django_db

UNIT = 1_000_000_000
# A Friday; the time zone of the tests' money is UTC.
TODAY = datetime(2026, 11, 20, tzinfo=UTC)
NOW = TODAY + timedelta(hours=15, minutes=10)
WEEKS = 5
HOURS = WEEKS * 7 * DAY_HOURS + 15
LONG_HOURS = 12 * 7 * DAY_HOURS + 15
Kind = Anomaly.Kind


def usual(hours: int = HOURS) -> Costs:
    """So many hours up to NOW's, of a few units in a working hour."""
    costs = np.rint(synthetic.department(np.random.default_rng(3), weeks=13, drift=0.0) * 20)
    # The made weeks begin on a Monday: the last hour is that of NOW.
    until = 12 * 7 * DAY_HOURS + 4 * DAY_HOURS + 15
    return costs[:until][-hours:]


def spend(department: Department, costs: Costs) -> Costs:
    hourly_costs(department, costs, until=TODAY + timedelta(hours=15))
    return costs


@pytest.fixture
def head(department: Department) -> User:
    return UserFactory(email="head@example.org", department=department, role=Membership.Role.HEAD)


def spiked(hour: int = -6) -> Costs:
    costs = usual()
    costs[hour : hour + 2] += round(100 * costs.mean())
    return costs


def test_usual_cost_raises_nothing(department: Department) -> None:
    spend(department, usual())
    assert service.detect(NOW) == 0
    assert not Anomaly.objects.exists()
    assert not mail.outbox


def test_a_spike_is_kept_with_what_it_consists_of(department: Department) -> None:
    costs = spend(department, spiked())
    assert service.detect(NOW) == 1
    anomaly = Anomaly.objects.get()
    assert (anomaly.kind, anomaly.department) == (Kind.SPIKE, department)
    assert anomaly.starts_at <= TODAY + timedelta(hours=9) < anomaly.ends_at
    assert anomaly.actual_nanos >= costs[-6:-4].sum()
    assert 0 < anomaly.expected_nanos < anomaly.actual_nanos / 10
    assert anomaly.p_value is not None
    assert anomaly.p_value < 1e-4
    assert sum(anomaly.causes.values()) == anomaly.actual_nanos - anomaly.expected_nanos
    # A call costs as much as ever: there are more of them.
    assert anomaly.causes["volume"] == pytest.approx(sum(anomaly.causes.values()), rel=0.01)


def test_dearer_calls_are_told_from_more_of_them(department: Department) -> None:
    costs = spend(department, spiked())
    begin = TODAY + timedelta(hours=9)
    # The same money, by the calls of a usual hour.
    usual_calls = round(np.median(costs[costs > costs.mean()]) / 1_000_000)
    HourlyCost.objects.filter(
        starts_at__gte=begin, starts_at__lt=begin + timedelta(hours=2)
    ).update(call_count=usual_calls, input_tokens=usual_calls * 500)
    service.detect(NOW)
    causes = Anomaly.objects.get().causes
    assert causes["price_mix"] > 0.5 * sum(causes.values())


def test_a_second_look_finds_the_same_and_adds_nothing(department: Department, head: User) -> None:
    spend(department, spiked())
    service.detect(NOW)
    before = list(Anomaly.objects.values())
    assert service.detect(NOW) == 0
    assert service.detect(NOW + timedelta(minutes=40)) == 0
    detect_anomalies()
    [after] = Anomaly.objects.values()
    assert {**after, "emailed_at": None} == {**before[0], "emailed_at": None}
    assert len(mail.outbox) == 1


def test_a_spike_that_goes_on_is_the_same_incident(department: Department, head: User) -> None:
    costs = usual()
    costs[-6:] += round(100 * costs.mean())
    spend(department, costs)
    until = TODAY + timedelta(hours=11, minutes=5)
    assert service.detect(until) == 1
    first = Anomaly.objects.get()
    assert first.ends_at == TODAY + timedelta(hours=11)
    assert service.detect(NOW) == 0
    whole = Anomaly.objects.get()
    assert whole.pk == first.pk
    assert whole.ends_at == TODAY + timedelta(hours=15)
    assert whole.actual_nanos > first.actual_nanos
    assert sum(whole.causes.values()) == whole.actual_nanos - whole.expected_nanos
    assert len(mail.outbox) == 1


def test_operators_and_heads_are_told_and_heads_only_of_their_own(
    department: Department, head: User, admin_user: User, colleague: User, settings: Any
) -> None:
    settings.PARLEY_BASE_URL = "https://parley.example.org"
    other = DepartmentFactory(name="Sales")
    UserFactory(email="other@example.org", department=other, role=Membership.Role.HEAD)
    UserFactory(
        email="gone@example.org",
        department=department,
        role=Membership.Role.HEAD,
        is_active=False,
    )
    spend(department, spiked())
    spend(other, spiked(-8))
    assert service.detect(NOW) == 2
    sent = {message.subject: sorted(message.bcc) for message in mail.outbox}
    assert sent == {
        "Parley: unexpected cost of Support": ["head@example.org", "operator@example.org"],
        "Parley: unexpected cost of Sales": ["operator@example.org", "other@example.org"],
    }
    assert "More than expected" in mail.outbox[0].body
    anomaly = Anomaly.objects.get(department=department)
    [body] = [message.body for message in mail.outbox if "Support" in message.subject]
    assert f"https://parley.example.org/admin/billing/anomaly/{anomaly.pk}/change/" in body
    assert f"https://parley.example.org/usage/departments/{department.code}/" in body
    assert not Anomaly.objects.filter(emailed_at=None).exists()


def test_a_message_that_fails_is_sent_later_once(
    department: Department, head: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    spend(department, spiked())

    def refuse(*_arguments: Any) -> int:
        raise smtplib.SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", refuse)
        assert service.detect(NOW) == 1
    assert Anomaly.objects.get().emailed_at is None
    assert (mailing.send_waiting(NOW), mailing.send_waiting(NOW)) == (1, 0)
    assert len(mail.outbox) == 1


def test_a_new_department_is_watched_by_its_budget_alone(department: Department) -> None:
    costs = np.zeros(HOURS)
    costs[-10 * DAY_HOURS :] = 1 * UNIT
    costs[-3:-1] = 60 * UNIT
    spend(department, costs)
    assert service.detect(NOW) == 0
    BudgetFactory(department=department, limit_nanos=1000 * UNIT)
    assert service.detect(NOW) == 1
    anomaly = Anomaly.objects.get()
    assert anomaly.kind == Kind.BURN_RATE
    assert (anomaly.starts_at, anomaly.ends_at) == (
        TODAY + timedelta(hours=12),
        TODAY + timedelta(hours=14),
    )
    assert (anomaly.actual_nanos, anomaly.causes) == (120 * UNIT, {})


def test_a_model_not_used_before_is_raised_with_its_cost(department: Department) -> None:
    spend(department, usual())
    other = DepartmentFactory()
    at = TODAY + timedelta(hours=2)
    hourly_costs(other, [5 * UNIT, 6 * UNIT], until=at, model_code="new-model")
    assert service.detect(NOW) == 1
    assert service.detect(NOW) == 0
    anomaly = Anomaly.objects.get()
    assert (anomaly.kind, anomaly.department) == (Kind.UNKNOWN_MODEL, other)
    assert (anomaly.detail, anomaly.starts_at) == ("provider/new-model", TODAY)
    assert (anomaly.expected_nanos, anomaly.actual_nanos) == (0, 11 * UNIT)


def test_everything_is_new_in_the_first_weeks(department: Department) -> None:
    spend(department, usual(10 * DAY_HOURS))
    hourly_costs(department, [UNIT], until=TODAY, model_code="new-model")
    assert service.detect(NOW) == 0


def test_a_changed_price_is_raised_with_what_a_week_costs_more(department: Department) -> None:
    costs = spend(department, usual())
    PriceFactory(nanos_per_million_tokens=2_000_000_000)
    PriceFactory(nanos_per_million_tokens=3_000_000_000, starts_at=TODAY + timedelta(hours=3))
    PriceFactory(model_code="unused")
    PriceFactory(model_code="unused", nanos_per_million_tokens=1, starts_at=TODAY)
    assert service.detect(NOW) == 1
    assert service.detect(NOW) == 0
    anomaly = Anomaly.objects.get()
    assert anomaly.kind == Kind.PRICE_CHANGE
    assert anomaly.detail == "provider/model: Input tokens: 2.00 $ → 3.00 $"
    # A call of a million nanos has 500 tokens: at 2 units a million tokens that is the cost itself.
    week = costs[: -15 - DAY_HOURS].sum() / 6
    assert anomaly.expected_nanos == pytest.approx(week, rel=0.01)
    assert anomaly.actual_nanos == pytest.approx(1.5 * week, rel=0.01)


def test_the_same_price_again_and_a_first_price_are_no_change(department: Department) -> None:
    spend(department, usual())
    PriceFactory()
    PriceFactory(starts_at=TODAY)
    PriceFactory(meter="OUTPUT", starts_at=TODAY)
    assert service.detect(NOW) == 0


@pytest.fixture
def people(department: Department) -> list[User]:
    """Three people, who made a third of the cost of each of the last thirty days each."""
    made = [UserFactory(department=department) for _number in range(3)]
    for person in made:
        for day in range(2, 30):
            person_cost(department, person, day=TODAY - timedelta(days=day), nanos=UNIT)
    spend(department, usual())
    return made


def test_a_person_who_makes_most_of_a_day_is_raised_unless_they_always_do(
    department: Department, people: list[User]
) -> None:
    yesterday = TODAY - timedelta(days=1)
    for person, nanos in zip(people, (30 * UNIT, UNIT, UNIT), strict=True):
        person_cost(department, person, day=yesterday, nanos=nanos)
    assert service.detect(NOW) == 1
    assert service.detect(NOW) == 0
    anomaly = Anomaly.objects.get()
    assert (anomaly.kind, anomaly.detail) == (Kind.ONE_PERSON, str(people[0]))
    assert (anomaly.starts_at, anomaly.ends_at) == (yesterday, TODAY)
    assert (anomaly.expected_nanos, anomaly.actual_nanos) == (UNIT, 30 * UNIT)
    # In the weeks to come that is what they usually do.
    PersonCost.objects.filter(user=people[0]).update(amount_nanos=30 * UNIT)
    Anomaly.objects.all().delete()
    assert service.detect(NOW) == 0


def test_a_small_department_has_no_people_to_tell_apart(
    department: Department, owner: User
) -> None:
    spend(department, usual())
    for day in range(1, 10):
        person_cost(department, owner, day=TODAY - timedelta(days=day), nanos=50 * UNIT)
    assert service.detect(NOW) == 0


def test_a_slow_rise_is_raised_once_in_four_weeks(department: Department) -> None:
    costs = usual(LONG_HOURS)
    rise = 28 * DAY_HOURS + 15
    costs[-rise:] *= np.linspace(1, 2.5, rise)
    spend(department, costs)
    service.detect(NOW)
    anomaly = Anomaly.objects.get(kind=Kind.DRIFT)
    assert anomaly.ends_at == TODAY
    assert anomaly.actual_nanos > 1.25 * anomaly.expected_nanos
    service.detect(NOW + timedelta(hours=20))
    assert Anomaly.objects.filter(kind=Kind.DRIFT).count() == 1


def test_seen_to_is_noted_once(department: Department, owner: User, admin_user: User) -> None:
    spend(department, spiked())
    service.detect(NOW)
    anomaly = Anomaly.objects.get()
    assert service.acknowledge(anomaly_id=anomaly.pk, by=admin_user)
    assert not service.acknowledge(anomaly_id=anomaly.pk, by=owner)
    assert Anomaly.objects.get().acknowledged_by == admin_user


def test_the_hours_around_come_with_what_was_expected(department: Department) -> None:
    costs = spend(department, spiked())
    service.detect(NOW)
    since, actual, expected = service.hours_around(Anomaly.objects.get(), hours=24)
    assert since <= TODAY + timedelta(hours=9) - timedelta(days=1)
    known = (TODAY + timedelta(hours=15) - since) // timedelta(hours=1)
    assert np.array_equal(actual[:known], costs[-known:])
    assert 0.2 < np.nansum(expected[:24]) / actual[:24].sum() < 5


def test_queries_do_not_grow_with_departments(
    department: Department, django_assert_max_num_queries: Any
) -> None:
    for other in (department, *(DepartmentFactory() for _number in range(3))):
        spend(other, usual(DAY_HOURS * 30))
        BudgetFactory(department=other, limit_nanos=10**15)
    with django_assert_max_num_queries(24):
        service.detect(NOW)
