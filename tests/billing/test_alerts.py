"""Budget alerts: which are raised when, each once, and who is written to."""

import re
import smtplib
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiKey, Department, Membership, User
from apps.billing import alerts, notices, services
from apps.billing.anomalies import series, synthetic
from apps.billing.models import Budget, BudgetAlert, BudgetIncrease, BudgetPeriod, Outcome
from apps.billing.tasks import raise_alerts
from apps.billing.types import Usage
from tests.factories.accounts import UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context, settled_call
from tests.factories.costs import hourly_costs

pytestmark = pytest.mark.django_db(transaction=True)

# A token costs a thousandth: a thousand tokens are one unit.
UNIT = 1_000_000_000
TOKEN_PRICE = 1000 * UNIT
Kind = BudgetAlert.Kind


@pytest.fixture(autouse=True)
def _prices() -> None:
    for meter in ("INPUT", "OUTPUT"):
        PriceFactory(meter=meter, nanos_per_million_tokens=TOKEN_PRICE)


@pytest.fixture
def head(department: Department) -> User:
    return UserFactory(email="head@example.org", department=department, role=Membership.Role.HEAD)


def budget(department: Department | None, *, limit: int = 10, **fields: Any) -> Budget:
    return BudgetFactory(department=department, limit_nanos=limit * UNIT, **fields)


def spend(department: Department, tokens: int, **fields: Any) -> None:
    """Have the department pay this many thousandths, a thousand at a time, so that no call holds more."""
    for begin in range(0, tokens, 1000):
        usage = Usage(input_tokens=min(1000, tokens - begin))
        settled_call(usage=usage, department_id=department.pk, **fields)


def raised() -> list[tuple[str, int]]:
    return list(BudgetAlert.objects.order_by("pk").values_list("kind", "percent"))


def letters() -> list[tuple[str, list[str]]]:
    return [(message.subject, sorted(message.bcc)) for message in mail.outbox]


def test_each_share_is_raised_once_as_it_is_reached(department: Department, head: User) -> None:
    budget(department)
    spend(department, 4900)
    assert alerts.raise_due() == 0
    spend(department, 200)
    assert (alerts.raise_due(), alerts.raise_due()) == (1, 0)
    spend(department, 2900)
    assert (alerts.raise_due(), alerts.raise_due()) == (1, 0)
    spend(department, 2000)
    assert (alerts.raise_due(), alerts.raise_due()) == (1, 0)
    assert raised() == [(Kind.SPENT, 50), (Kind.SPENT, 80), (Kind.SPENT, 100)]
    assert letters() == [
        ("Parley: Support · A month: 50 % is spent", ["head@example.org"]),
        ("Parley: Support · A month: 80 % is spent", ["head@example.org"]),
        ("Parley: Support · A month is used up", ["head@example.org"]),
    ]
    assert "Spent: 5.10 $ of 10.00 $; left: 4.90 $." in mail.outbox[0].body
    assert not BudgetAlert.objects.filter(emailed_at=None).exists()


def test_a_message_has_the_addresses_of_the_pages(
    department: Department, owner: User, head: User, admin_user: User, settings: Any
) -> None:
    settings.PARLEY_BASE_URL = "https://parley.example.org"
    budget(department)
    BudgetFactory(department=department, user=owner, limit_nanos=10 * UNIT)
    everybody = budget(None)
    spend(department, 5100, user_id=owner.pk)
    alerts.raise_due()
    links = {
        message.subject: re.findall(r"https://parley.example.org(\S+)", message.body)
        for message in mail.outbox
    }
    page = f"/usage/departments/{department.code}/"
    assert sorted(links.values()) == sorted(
        [[page], ["/usage/", page], [f"/admin/billing/budget/{everybody.pk}/change/"]]
    )
    for user, url in (
        (head, page),
        (owner, "/usage/"),
        (admin_user, links["Parley: Everybody · A month: 50 % is spent"][0]),
    ):
        client = Client()
        client.force_login(user)
        assert client.get(url).status_code == 200


def test_a_leap_over_several_shares_is_one_message(department: Department, head: User) -> None:
    budget(department)
    spend(department, 8200)
    assert alerts.raise_due() == 2
    assert raised() == [(Kind.SPENT, 50), (Kind.SPENT, 80)]
    assert letters() == [("Parley: Support · A month: 80 % is spent", ["head@example.org"])]


def test_a_new_period_begins_anew(department: Department) -> None:
    budget(department, period=Budget.Period.DAY)
    today = timezone.now()
    for day in (today, today + timedelta(days=1)):
        spend(department, 5000, at=day)
        assert alerts.raise_due(day) == 1


def test_calls_are_refused_before_the_last_is_spent_and_so_it_is_told(
    department: Department, head: User
) -> None:
    budget(department)
    spend(department, 9000)
    assert alerts.raise_due() == 2
    # What is left is enough for the usual thousand no more.
    settled_call(usage=Usage(input_tokens=1), department_id=department.pk)
    assert alerts.raise_due() == 1
    assert raised()[-1] == (Kind.SPENT, 100)
    assert letters()[-1][0] == "Parley: Support · A month is used up"


def test_a_budget_switched_off_or_untouched_tells_nobody(department: Department) -> None:
    budget(department, is_enabled=False)
    budget(None, limit=0)
    assert alerts.raise_due() == 0


def test_an_increase_counts_while_it_lasts(department: Department) -> None:
    one = budget(department)
    now = datetime(2026, 11, 16, 12, tzinfo=UTC)
    BudgetIncrease.objects.create(
        budget=one,
        amount_nanos=10 * UNIT,
        starts_at=now - timedelta(hours=1),
        expires_at=now + timedelta(hours=1),
        reason="fair",
    )
    spend(department, 9000, at=now)
    assert alerts.raise_due(now) == 0
    assert alerts.raise_due(now + timedelta(hours=2)) == 2
    assert raised() == [(Kind.SPENT, 50), (Kind.SPENT, 80)]


def test_a_person_is_told_and_the_heads_when_it_is_used_up(
    department: Department, head: User, owner: User
) -> None:
    budget(department, user=owner)
    spend(department, 8000, user_id=owner.pk)
    alerts.raise_due()
    spend(department, 2000, user_id=owner.pk)
    alerts.raise_due()
    assert [people for _subject, people in letters()] == [
        ["owner@example.org"],
        ["head@example.org", "owner@example.org"],
    ]


def test_heads_of_any_of_the_persons_departments_hear_of_a_budget_without_one(
    department: Department, head: User, owner: User
) -> None:
    budget(None, user=owner)
    spend(department, 10_000, user_id=owner.pk)
    alerts.raise_due()
    assert [people for _subject, people in letters()] == [["head@example.org", "owner@example.org"]]


def test_a_key_concerns_its_owner_and_heads(
    department: Department, head: User, colleague: User
) -> None:
    key = ApiKey.objects.create(
        name="robot", prefix="pk", secret_hash=b"", owner=colleague, department=department
    )
    budget(None, api_key=key)
    spend(department, 6000, api_key_id=key.pk)
    alerts.raise_due()
    assert [people for _subject, people in letters()] == [
        ["colleague@example.org", "head@example.org"]
    ]


def test_everybodys_budget_and_one_without_heads_concern_the_operators(
    department: Department, admin_user: User, owner: User
) -> None:
    UserFactory(email="gone@example.org", is_operator=True, is_active=False)
    budget(None)
    budget(department)
    spend(department, 6000)
    alerts.raise_due()
    assert sorted(letters()) == [
        ("Parley: Everybody · A month: 50 % is spent", ["operator@example.org"]),
        ("Parley: Support · A month: 50 % is spent", ["operator@example.org"]),
    ]


def test_a_message_that_fails_is_sent_later_once(
    department: Department, head: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget(department)
    spend(department, 6000)

    def refuse(*_arguments: Any) -> int:
        raise smtplib.SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr(EmailBackend, "send_messages", refuse)
        alerts.raise_due()
    assert BudgetAlert.objects.get().emailed_at is None
    raise_alerts()
    raise_alerts()
    assert len(letters()) == 1
    assert BudgetAlert.objects.get().emailed_at is not None


def test_a_message_nobody_could_be_sent_is_no_news_after_three_days(
    department: Department, owner: User
) -> None:
    budget(department)
    spend(department, 6000)
    alerts.raise_due()
    assert not letters()
    Membership.objects.filter(user=owner).update(role=Membership.Role.HEAD)
    BudgetAlert.objects.update(created_at=timezone.now() - notices.RETRIED_FOR)
    assert alerts.send_waiting() == 0
    BudgetAlert.objects.update(created_at=timezone.now())
    assert alerts.send_waiting() == 1


def test_many_at_once_raise_and_send_once(department: Department, head: User) -> None:
    budget(department)
    spend(department, 10_000)
    count = 6
    together = threading.Barrier(count)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            together.wait()
            alerts.raise_due()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    alerts.send_waiting()
    assert sorted(raised()) == [(Kind.SPENT, 50), (Kind.SPENT, 80), (Kind.SPENT, 100)]
    assert len(letters()) == 1


def test_whoever_sends_keeps_others_from_it(department: Department, head: User) -> None:
    budget(department)
    spend(department, 6000)
    taken: list[bool] = []

    def try_it() -> None:
        with notices.sender() as is_ours:
            taken.append(is_ours)
        connections.close_all()

    with notices.sender() as is_ours:
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    try_it()
    assert (is_ours, taken) == (True, [False, True])
    connection.ensure_connection()


def test_a_settlement_above_its_reservation_is_told_to_heads_and_operators(
    department: Department, head: User, admin_user: User
) -> None:
    budget(department, limit=100)
    reserved = services.reserve(
        context=call_context(department_id=department.pk),
        provider_code="provider",
        model_code="model",
        max_input_tokens=1000,
        max_output_tokens=0,
    )
    services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(input_tokens=3500),
        elapsed_ms=1,
    )
    assert (alerts.raise_due(), alerts.raise_due()) == (1, 0)
    assert raised() == [(Kind.EXCESS, 0)]
    assert letters() == [
        (
            "Parley: Support · A month: a call cost more than it held",
            ["head@example.org", "operator@example.org"],
        )
    ]
    assert "cost 2.50 $ more" in mail.outbox[0].body


def overrunning(department: Department, *, now: datetime, monthly: int) -> None:
    """Eight weeks of history that make a month cost about this many units."""
    costs = np.tile(synthetic.week(), 9)[: 8 * 168] * monthly * UNIT / 730
    hourly_costs(department, costs.round(), until=series.hour_of(now))


def test_a_month_that_will_not_last_is_told_once(
    department: Department, head: User, colleague: User
) -> None:
    now = datetime(2026, 11, 9, 0, 10, tzinfo=UTC)
    overrunning(department, now=now, monthly=100)
    budget(department, limit=50)
    spend(department, 5000, at=now - timedelta(minutes=1))
    assert (alerts.raise_overruns(now), alerts.raise_overruns(now)) == (1, 0)
    alert = BudgetAlert.objects.get()
    assert alert.kind == Kind.FORECAST
    assert alert.forecast_nanos is not None
    assert 60 * UNIT < alert.forecast_nanos < 100 * UNIT
    assert letters() == [("Parley: Support · A month will probably not last", ["head@example.org"])]


def test_a_month_that_will_last_or_is_used_up_is_not_forecast(department: Department) -> None:
    now = datetime(2026, 11, 9, 0, 10, tzinfo=UTC)
    overrunning(department, now=now, monthly=100)
    budget(department, limit=500)
    budget(None, limit=5)
    spend(department, 5000, at=now - timedelta(minutes=1))
    assert alerts.raise_overruns(now) == 0


def test_without_history_nothing_is_forecast(department: Department) -> None:
    budget(department, limit=6)
    spend(department, 5000)
    assert alerts.raise_overruns() == 0


def test_people_see_the_highest_share_of_what_concerns_them(
    department: Department, owner: User, outsider: User
) -> None:
    one = budget(department)
    spend(department, 8200)
    alerts.raise_due()
    [shown] = alerts.current_for(owner)
    assert (shown.kind, shown.percent, shown.budget_period.budget) == (Kind.SPENT, 80, one)
    assert alerts.current_for(outsider) == []
    # An increase makes it untrue.
    now = timezone.now()
    BudgetIncrease.objects.create(
        budget=one,
        amount_nanos=20 * UNIT,
        starts_at=now - timedelta(hours=1),
        expires_at=now + timedelta(hours=1),
        reason="fair",
    )
    assert alerts.current_for(owner) == []


def test_a_period_that_is_over_is_shown_no_more(department: Department, owner: User) -> None:
    budget(department, period=Budget.Period.DAY)
    yesterday = timezone.now() - timedelta(days=1)
    spend(department, 8200, at=yesterday)
    assert alerts.raise_due(yesterday) == 2
    assert alerts.current_for(owner) == []


def test_personal_alerts_are_shown_to_that_person_alone(
    department: Department, owner: User, colleague: User
) -> None:
    budget(department, user=owner)
    spend(department, 8200, user_id=owner.pk)
    alerts.raise_due()
    assert len(alerts.current_for(owner)) == 1
    assert alerts.current_for(colleague) == []


def test_queries_do_not_grow_with_budgets(
    department: Department, django_assert_max_num_queries: Any
) -> None:
    for _number in range(4):
        person = UserFactory(department=department)
        budget(department, user=person)
        spend(department, 1000, user_id=person.pk)
    assert BudgetPeriod.objects.count() == 4
    with django_assert_max_num_queries(14):
        alerts.raise_due()
