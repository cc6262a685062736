"""The admin's pages of anomalies and alerts: what they show, and the button that notes who has seen to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Department, User
from apps.billing.admin.anomaly_page import anomaly_page, cause_parts
from apps.billing.models import Anomaly, BudgetAlert, BudgetPeriod
from tests.factories.billing import BudgetFactory, PriceFactory
from tests.factories.costs import hourly_costs

pytestmark = pytest.mark.django_db

UNIT = 1_000_000_000
BEGIN = datetime(2026, 11, 11, 9, tzinfo=UTC)
LIST = "admin:billing_anomaly_changelist"


@pytest.fixture
def operator(client: Client, admin_user: User) -> Client:
    client.force_login(admin_user)
    return client


def anomaly(department: Department, **fields: Any) -> Anomaly:
    values = {
        "kind": Anomaly.Kind.SPIKE,
        "department": department,
        "starts_at": BEGIN,
        "ends_at": BEGIN + timedelta(hours=2),
        "expected_nanos": 2 * UNIT,
        "actual_nanos": 12 * UNIT,
        "p_value": 0.0001,
        "causes": {"volume": 9 * UNIT, "tokens": 3 * UNIT, "price_mix": -2 * UNIT},
        **fields,
    }
    return Anomaly.objects.create(**values)


def page_url(one: Anomaly) -> str:
    return reverse("admin:billing_anomaly_change", args=[one.pk])


def test_the_list_shows_what_waits_and_the_alarm_budget(
    operator: Client, department: Department
) -> None:
    anomaly(department)
    page = operator.get(reverse(LIST)).content.decode()
    assert "1 is not yet seen to." in page
    assert "about 3 a week" in page
    assert "#id_billing__anomaly_alarms_per_week" in page
    assert "12.00\u00a0$" in page
    assert "11 Nov 2026, 09:00" in page
    parameters = operator.get(reverse("admin:tuning_parameters")).content.decode()
    assert 'id="id_billing__anomaly_alarms_per_week"' in parameters


def test_the_list_is_filtered_by_what_is_seen_to(
    operator: Client, department: Department, admin_user: User
) -> None:
    anomaly(department, detail="open-one")
    anomaly(department, detail="done-one", acknowledged_by=admin_user, acknowledged_at=BEGIN)
    for chosen, there, away in (("no", "open-one", "done-one"), ("yes", "done-one", "open-one")):
        page = operator.get(reverse(LIST), {"seen": chosen}).content.decode()
        assert there in page
        assert away not in page


def test_the_page_shows_causes_that_add_up_and_the_hours_around(
    operator: Client, department: Department
) -> None:
    hourly_costs(department, [UNIT] * 24 * 40, until=BEGIN + timedelta(hours=3))
    one = anomaly(department)
    page = operator.get(page_url(one)).content.decode()
    for text in ("9.00 $", "3.00 $", "-2.00 $", "10.00 $", "1 hour in 10,000", "anomaly-chart"):
        assert text in page
    shown = anomaly_page(one)
    assert sum(part.nanos for part in shown.causes) == shown.difference_nanos
    inside = [span for span in shown.spans if span.is_inside]
    assert [span.starts_at for span in inside] == [BEGIN, BEGIN + timedelta(hours=1)]
    assert inside[0].expected_nanos == pytest.approx(UNIT, rel=0.01)
    assert len(shown.chart["at"]) == len(shown.spans)


def test_a_drift_is_drawn_by_days(department: Department) -> None:
    hourly_costs(department, [UNIT] * 24 * 80, until=BEGIN)
    begin = BEGIN - timedelta(days=20, hours=9)
    everything = (24 * UNIT, 24 * UNIT)
    one = anomaly(
        department, kind=Anomaly.Kind.DRIFT, starts_at=begin, ends_at=begin + timedelta(days=20)
    )
    shown = anomaly_page(one)
    assert shown.is_daily
    assert sum(span.is_inside for span in shown.spans) == 20
    assert len(shown.spans) == 28
    assert {(span.actual_nanos, span.expected_nanos) for span in shown.spans} == {everything}


@pytest.mark.parametrize("kind", Anomaly.Kind)
def test_each_kind_says_what_it_is(
    operator: Client, department: Department, kind: Anomaly.Kind
) -> None:
    one = anomaly(department, kind=kind, causes={}, detail="provider/model", p_value=None)
    page = operator.get(page_url(one)).content.decode()
    assert str(kind.label) in page
    assert "What the difference consists of" not in page
    if kind == Anomaly.Kind.UNKNOWN_MODEL:
        assert "It has no price" in page
        PriceFactory()
        assert "It has no price" not in operator.get(page_url(one)).content.decode()


def test_seeing_to_it_is_noted_once_with_who_did(
    operator: Client, department: Department, admin_user: User
) -> None:
    one = anomaly(department)
    url = reverse("admin:billing_anomaly_seen", args=[one.pk])
    assert operator.get(url).status_code == 405
    assert "Noted" in operator.post(url, follow=True).content.decode()
    one.refresh_from_db()
    assert one.acknowledged_by == admin_user
    page = operator.post(url, follow=True).content.decode()
    assert "Somebody had seen to it already." in page
    assert "I have seen to it" not in page


def test_only_operators_see_and_note(client: Client, department: Department, owner: User) -> None:
    one = anomaly(department)
    seen = reverse("admin:billing_anomaly_seen", args=[one.pk])
    client.force_login(owner)
    for answer in (client.get(page_url(one)), client.get(reverse(LIST)), client.post(seen)):
        assert answer.status_code == 302
        assert "login" in answer.headers["Location"]
    one.refresh_from_db()
    assert one.acknowledged_at is None


def test_an_anomaly_that_is_not_there_leads_back(operator: Client, owner: User) -> None:
    assert operator.get(reverse("admin:billing_anomaly_change", args=[owner.pk])).status_code == 302
    url = reverse("admin:billing_anomaly_seen", args=[owner.pk])
    assert operator.post(url).status_code == 404


def test_alerts_are_listed_with_what_was_said(operator: Client, department: Department) -> None:
    period = BudgetPeriod.objects.get(budget=BudgetFactory(department=department))
    for kind, percent, foreseen in (("SPENT", 80, None), ("FORECAST", 0, 3 * UNIT)):
        BudgetAlert.objects.create(
            budget_period=period,
            kind=kind,
            percent=percent,
            spent_nanos=UNIT // 2,
            limit_nanos=UNIT,
            forecast_nanos=foreseen,
        )
    page = operator.get(reverse("admin:billing_budgetalert_changelist")).content.decode()
    for text in ("80 %", "forecast 3.00 $", "0.50\u00a0$", "Support"):
        assert text in page
    assert "Support" in operator.get(
        reverse("admin:billing_budgetalert_changelist"), {"q": "supp"}
    ).content.decode()  # fmt: skip


def test_the_bars_of_causes_share_a_scale() -> None:
    parts, zero = cause_parts({"volume": 60, "tokens": 15, "price_mix": -25})
    assert zero == 25 * 1000 // 85
    assert [part.start for part in parts] == [zero, zero, 0]
    assert [part.length for part in parts] == [60 * 1000 // 85, 15 * 1000 // 85, 25 * 1000 // 85]
    assert all(part.start >= 0 and part.start + part.length <= 1000 for part in parts)
    assert cause_parts({}) == ([], 0)
    assert cause_parts({"volume": 0, "tokens": 0, "price_mix": 0}) == ([], 0)
