"""The figures of cost screens are the sums of the calls, whichever of them are in the totals already."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.billing import book, services
from apps.billing.costs import overview as costs
from apps.billing.costs import rollups
from apps.billing.costs.overview import CostFilter, Dimension
from apps.billing.models import LedgerEntry, UsageRecord
from apps.core.ids import uuid7
from tests.billing.costs.calls import (
    DAY,
    Organisation,
    day_of,
    expected_lines,
    is_meant,
    month,
    sums_of,
)

pytestmark = pytest.mark.django_db

KEYS: dict[Dimension, Callable[[UsageRecord], Iterable[str]]] = {
    Dimension.DEPARTMENT: lambda record: [str(record.department_id)],
    Dimension.PERSON: lambda record: [str(record.user_id or "")],
    Dimension.API_KEY: lambda record: [str(record.api_key_id or "")],
    Dimension.PRODUCT: lambda record: [record.product],
    Dimension.PURPOSE: lambda record: [record.purpose],
    Dimension.MODEL: lambda record: [f"{record.provider_code}/{record.model_code}"],
    Dimension.TAG: lambda record: record.tags,
}


@pytest.fixture(params=["UTC", "Europe/Berlin", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, settings: Any) -> str:
    """The billing time zone, of settings and ledger; in the second the clocks go back in October."""
    settings.BILLING_TIME_ZONE = request.param
    book.open_book()
    return str(request.param)


@pytest.fixture
def organisation(db: None) -> Organisation:
    """Calls of three months: two thirds of them are in the totals."""
    organisation = Organisation()
    organisation.spend_by(month(2026, 9, months=3), count=90)
    rollups.roll_up_batch(limit=60)
    return organisation


def spans() -> dict[str, tuple[datetime, datetime]]:
    starts_at, ends_at = month(2026, 9, months=3)
    return {
        "whole months": (starts_at, ends_at),
        "one month": month(2026, 10),
        "days of two months": (starts_at + 3 * DAY, starts_at + 40 * DAY),
        "days around a month": (starts_at + 20 * DAY, ends_at - 3 * DAY),
        "one day": (starts_at + 7 * DAY, starts_at + 8 * DAY),
        "parts of days": (starts_at + timedelta(hours=5), ends_at - timedelta(minutes=7)),
        "part of a day": (starts_at + timedelta(hours=5), starts_at + timedelta(hours=19)),
        "nothing": month(2025, 1),
    }


def assert_adds_up(cost_filter: CostFilter, said: str) -> None:
    figures = costs.overview(cost_filter, list(Dimension), limit=None)
    for dimension, keys in KEYS.items():
        expected = expected_lines(cost_filter, keys)
        assert sums_of(figures.lines[dimension]) == expected, (said, dimension)
    nothing = {"": (0, 0, 0, 0, 0)}
    in_all = expected_lines(cost_filter, lambda _: [""]) or nothing
    assert sums_of([figures.total]) == sums_of([costs.total(cost_filter)]) == in_all, said
    days = {str(one.day): (one.call_count, one.amount_nanos) for one in figures.days}
    by_day = expected_lines(cost_filter, lambda record: [day_of(record)])
    assert days == dict.fromkeys(days, (0, 0)) | {
        day: (sums[0], sums[-1]) for day, sums in by_day.items()
    }, said


def test_each_dimension_and_day_of_any_span_adds_up_to_the_calls(
    zone: str, organisation: Organisation
) -> None:
    for said, span in spans().items():
        assert_adds_up(CostFilter(*span), said)


def test_each_filter_leaves_the_calls_it_means(organisation: Organisation) -> None:
    department, person = organisation.departments[0], organisation.people[0]
    filters: dict[str, dict[str, Any]] = {
        "department": {"department_ids": (department.pk,)},
        "no department": {"department_ids": ()},
        "person": {"user_id": person.pk},
        "key": {"api_key_id": organisation.key.pk},
        "product": {"product": "api"},
        "purpose": {"purpose": "TITLE"},
        "provider": {"provider_code": "provider"},
        "model": {"provider_code": "provider", "model_code": "large/new"},
        "tag": {"tag": "beta"},
        "all": {
            "department_ids": tuple(one.pk for one in organisation.departments),
            "user_id": person.pk,
            "product": "chat",
            "tag": "alpha",
        },
    }
    for name in ("whole months", "parts of days", "days of two months"):
        for said, chosen in filters.items():
            assert_adds_up(CostFilter(*spans()[name], **chosen), f"{name}, {said}")


@pytest.mark.django_db
def test_a_span_nothing_comes_after_is_the_same_whether_it_says_so_or_not() -> None:
    first, last = month(2026, 9)[0], month(2026, 11)[0] + 12 * DAY
    organisation = Organisation()
    organisation.spend_by((first, last), count=60)
    rollups.roll_up_batch(limit=40)
    for chosen in ({}, {"product": "api"}, {"department_ids": (organisation.departments[0].pk,)}):
        for begin in (first, first + 10 * DAY, month(2026, 11)[0], last - 5 * DAY):
            closed = CostFilter(begin, last, **chosen)
            open_ = CostFilter(begin, last, is_open=True, **chosen)
            figures = costs.overview(open_, list(Dimension), limit=None)
            assert figures.total.call_count > 0
            assert figures == costs.overview(closed, list(Dimension), limit=None)


def test_the_figures_equal_the_ledger_before_and_after_each_batch(
    organisation: Organisation,
) -> None:
    cost_filter = CostFilter(*month(2026, 9, months=3))
    in_ledger = sum(LedgerEntry.objects.values_list("amount_nanos", flat=True))
    before = costs.overview(cost_filter, list(Dimension), limit=None)
    assert before.total.amount_nanos == in_ledger
    while rollups.roll_up_batch(limit=7):
        assert costs.overview(cost_filter, list(Dimension), limit=None) == before


def test_a_screen_takes_one_query_and_the_dearest_lines_come_first(
    organisation: Organisation,
) -> None:
    cost_filter = CostFilter(*month(2026, 9, months=3))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        figures = costs.overview(cost_filter, list(Dimension), limit=2)
    assert len(queries) == 1
    everyone = costs.by(cost_filter, Dimension.PERSON, limit=None)
    assert len(everyone) == 4
    assert figures.lines[Dimension.PERSON] == everyone[:2]
    amounts = [line.amount_nanos for line in everyone]
    assert amounts == sorted(amounts, reverse=True)
    assert len(figures.days) == 30 + 31 + 30
    assert costs.by_day(cost_filter) == figures.days


def test_lines_have_names_people_know(organisation: Organisation) -> None:
    lines = costs.overview(CostFilter(*month(2026, 9, months=3)), list(Dimension), limit=None).lines
    names = {dimension: {line.name for line in found} for dimension, found in lines.items()}
    nameless = organisation.people[0]
    assert names == {
        Dimension.DEPARTMENT: {department.name for department in organisation.departments},
        Dimension.PERSON: {"Nobody: Parley itself", *(str(one) for one in organisation.people)},
        Dimension.API_KEY: {"Without a key", "Robot"},
        Dimension.PRODUCT: {"Chat", "api"},
        Dimension.PURPOSE: {"Answer", "Title"},
        Dimension.MODEL: {"small", "large/new"},
        Dimension.TAG: {"alpha", "beta"},
    }
    User.objects.filter(pk=nameless.pk).update(full_name="")
    people = costs.by(CostFilter(*month(2026, 9, months=3)), Dimension.PERSON)
    assert nameless.email in {line.name for line in people}


def test_what_was_put_right_later_is_told_apart(organisation: Organisation) -> None:
    [one, other] = organisation.departments
    for department, amount, is_credit in ((one, 50, False), (one, 20, True), (other, 7, True)):
        services.correct(
            entry_id=uuid7(),
            department_id=department.pk,
            amount_nanos=amount,
            is_credit=is_credit,
            reason="a test",
            author_id=None,
        )
    [booked_at, *_] = LedgerEntry.objects.filter(reason="a test").values_list(
        "booked_at", flat=True
    )
    span = (booked_at - DAY, booked_at + DAY)
    assert costs.corrections(CostFilter(*span)) == 23
    assert costs.corrections(CostFilter(*span, department_ids=(one.pk,))) == 30
    assert costs.corrections(CostFilter(*span, department_ids=())) == 0
    assert costs.corrections(CostFilter(*month(2025, 1))) == 0


def test_pages_of_calls_follow_each_other_without_gap_or_repeat(
    organisation: Organisation,
) -> None:
    whole = month(2026, 9, months=3)
    filters = [
        CostFilter(*whole),
        CostFilter(*spans()["parts of days"], department_ids=(organisation.departments[0].pk,)),
        CostFilter(*whole, user_id=organisation.people[0].pk, product="chat"),
        CostFilter(*whole, tag="beta", model_code="small"),
        CostFilter(*whole, api_key_id=organisation.key.pk, purpose="TITLE"),
        CostFilter(*whole, department_ids=()),
    ]
    for cost_filter in filters:
        meant = [one for one in UsageRecord.objects.all() if is_meant(one, cost_filter)]
        meant.sort(key=lambda one: (one.created_at, one.pk), reverse=True)
        found: list[UsageRecord] = []
        while page := costs.calls(cost_filter, before=found[-1].pk if found else None, count=7):
            found += page
        assert found == meant
    assert costs.calls(CostFilter(*whole), before=uuid7()) == []


def test_a_page_of_calls_takes_two_queries(organisation: Organisation) -> None:
    with CaptureQueriesContext(connection) as queries:
        for call in costs.calls(CostFilter(*month(2026, 9, months=3)), before=None):
            assert [call.department, call.user, call.api_key]
    assert len(queries) == 2


def test_calls_of_one_moment_are_all_found(organisation: Organisation) -> None:
    at = month(2026, 10)[0] + timedelta(hours=3)
    for _ in range(5):
        organisation.call(at=at)
    rollups.roll_up_batch(limit=1000)
    cost_filter = CostFilter(at, at + timedelta(hours=1))
    found: list[UsageRecord] = []
    while page := costs.calls(cost_filter, before=found[-1].pk if found else None, count=2):
        found += page
    assert len({one.pk for one in found}) == 5 == len(found)
