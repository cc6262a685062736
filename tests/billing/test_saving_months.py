"""Savings of months that are over are summed once, and every report says the same as if they were not."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from apps.accounts.models import Department
from apps.billing import saving_months, savings
from apps.billing.costs import rollups
from apps.billing.models import Mechanism, Saving, SavingMonth
from apps.billing.tasks import keep_savings
from apps.core.ids import uuid7
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (
    datetime(2026, month, 1, tzinfo=UTC) for month in (8, 9, 10, 11)
)
SPANS = (
    (AUGUST, NOVEMBER),
    (SEPTEMBER, OCTOBER),
    (AUGUST + timedelta(days=9, hours=5), NOVEMBER - timedelta(days=3)),
    (AUGUST + timedelta(days=2), AUGUST + timedelta(days=20)),
    (OCTOBER, NOVEMBER + timedelta(days=11)),
)


@pytest.fixture
def departments() -> list[Department]:
    """Two departments that saved by several mechanisms from August to November; some requests by two."""
    found = [DepartmentFactory(), DepartmentFactory()]
    chance = random.Random(7)
    for _ in range(150):
        department, request_id = chance.choice(found), uuid7()
        for mechanism in chance.sample(list(Mechanism), chance.choice((1, 1, 2))):
            Saving.objects.create(
                request_id=request_id,
                mechanism=mechanism,
                department=department,
                saved_nanos=chance.randrange(10**9),
                overhead_nanos=chance.choice((0, chance.randrange(10**9))),
                saved_ms=chance.randrange(900),
                created_at=AUGUST + timedelta(hours=chance.random() * 24 * 105),
            )
    return found


def reports(departments: list[Department]) -> list[object]:
    return [
        report(*span, of)
        for span in SPANS
        for of in (None, [departments[0].pk], [])
        for report in (savings.by_mechanism, savings.by_department, savings.by_month, savings.audit)
    ]


def test_reports_say_the_same_before_and_after_months_are_kept(
    departments: list[Department],
) -> None:
    before = reports(departments)
    for at in (SEPTEMBER + timedelta(days=5), NOVEMBER + timedelta(days=5)):
        assert saving_months.keep(at=at) > 0
        assert saving_months.keep(at=at) == 0
        assert reports(departments) == before
    assert {*SavingMonth.objects.values_list("starts_at", flat=True)} == {
        AUGUST,
        SEPTEMBER,
        OCTOBER,
    }


def test_a_month_is_kept_when_nothing_can_come_to_it_any_more(
    departments: list[Department],
) -> None:
    assert saving_months.keep(at=SEPTEMBER + timedelta(hours=23)) == 0
    assert saving_months.keep(at=SEPTEMBER + timedelta(hours=25)) > 0


def test_what_is_wrong_in_a_kept_month_is_found_and_made_anew(
    departments: list[Department],
) -> None:
    before = reports(departments)
    keep_savings()
    SavingMonth.objects.filter(
        starts_at=SEPTEMBER, department=departments[0], mechanism=Mechanism.ROUTE
    ).update(saved_nanos=1)
    assert reports(departments) != before
    [found] = rollups.differences(starts_at=SEPTEMBER)
    assert (found.total_name, found.row_count) == ("savingmonth", 1)
    assert rollups.differences(starts_at=OCTOBER) == []
    rollups.remake(starts_at=SEPTEMBER)
    assert rollups.differences(starts_at=SEPTEMBER) == []
    assert reports(departments) == before


def test_a_month_that_is_not_kept_has_no_difference_and_stays_so(
    departments: list[Department],
) -> None:
    assert rollups.differences(starts_at=SEPTEMBER) == []
    rollups.remake(starts_at=SEPTEMBER)
    assert not SavingMonth.objects.exists()
