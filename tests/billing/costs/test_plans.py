"""Cost figures are read from the months they are of: plans at a small size, by the planner's own choice.

(The same questions over ten million calls are in tests/benchmarks/test_cost_screens.py.)
"""

import re
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.billing.costs import overview as costs
from apps.billing.costs import rollups, upkeep
from apps.billing.costs.overview import CostFilter, Dimension
from apps.billing.forecast import month_end
from tests.billing.costs.calls import DAY, Organisation, month
from tests.load.usage_rows import NotEmptyError, Sizes, load

pytestmark = pytest.mark.django_db


@pytest.fixture
def organisation(db: None) -> Organisation:
    """A few calls of September to November, each month with a table, half of them not in the totals."""
    organisation = Organisation()
    upkeep.make_partitions(at=datetime(2026, 9, 1, tzinfo=UTC))
    organisation.spend_by(month(2026, 9, months=3), count=30)
    rollups.roll_up_batch(limit=15)
    return organisation


def plan_of(queries: CaptureQueriesContext) -> str:
    plans = []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"))
            plans += [line for (line,) in cursor.fetchall()]
    return "\n".join(plans)


def tables_read(plan: str) -> set[str]:
    return set(re.findall(r" on (billing_usagerecord_(?:\d{4}_\d\d|default))\b", plan))


@pytest.mark.parametrize(
    "span", [month(2026, 10), (month(2026, 10)[0] + DAY / 3, month(2026, 10)[1] - 2 * DAY / 5)]
)
def test_a_month_s_figures_read_no_call_of_another_month(
    organisation: Organisation, span: tuple[datetime, datetime]
) -> None:
    with CaptureQueriesContext(connection) as queries:
        costs.overview(CostFilter(*span), list(Dimension))
    plan = plan_of(queries)
    assert tables_read(plan) == {"billing_usagerecord_2026_10"}
    assert "reservation_unrolled" in plan


def test_a_page_of_calls_reads_no_call_of_another_month(organisation: Organisation) -> None:
    for chosen in ({}, {"user_id": organisation.people[0].pk}, {"tag": "alpha"}):
        with CaptureQueriesContext(connection) as queries:
            assert costs.calls(CostFilter(*month(2026, 10), **chosen), before=None)
        assert tables_read(plan_of(queries)) == {"billing_usagerecord_2026_10"}


def test_whole_months_are_read_from_the_monthly_totals(organisation: Organisation) -> None:
    with CaptureQueriesContext(connection) as queries:
        costs.by(CostFilter(*month(2026, 9, months=3)), Dimension.PERSON)
        costs.by(CostFilter(*month(2026, 9, months=3), product="chat"), Dimension.PERSON)
    plan = plan_of(queries)
    assert "billing_membercost" in plan
    assert "billing_personmonthlycost" in plan
    assert "billing_persondaycost" not in plan
    assert "billing_personcost" not in plan
    assert "billing_hourlycost" not in plan


def test_days_of_everything_narrowed_are_read_from_the_organisation_s_totals(
    organisation: Organisation,
) -> None:
    span = month(2026, 9, months=3)
    with CaptureQueriesContext(connection) as queries:
        costs.by_day(CostFilter(*span, product="chat", tag="alpha"))
    plan = plan_of(queries)
    assert "billing_organisationcost" in plan
    assert "billing_dailycost" not in plan


def test_the_running_month_is_read_as_a_whole_where_nothing_is_after_it(
    organisation: Organisation,
) -> None:
    first, last = month(2026, 9, months=3)[0], month(2026, 11)[0] + 20 * DAY
    with CaptureQueriesContext(connection) as queries:
        costs.by(CostFilter(first, last, product="chat", is_open=True), Dimension.PERSON)
    plan = plan_of(queries)
    assert "billing_personmonthlycost" in plan
    assert "billing_personcost" not in plan


def test_a_forecast_reads_the_smallest_hours_and_calls_of_its_month_alone(
    organisation: Organisation,
) -> None:
    at = month(2026, 11)[0] + 15 * DAY
    for department_id in (None, organisation.departments[0].pk):
        with CaptureQueriesContext(connection) as queries:
            month_end(department_id=department_id, at=at)
        plan = plan_of(queries)
        assert "billing_departmenthourcost" in plan
        assert "billing_hourlycost" not in plan
        assert tables_read(plan) == {"billing_usagerecord_2026_11"}


def test_a_list_of_calls_there_are_none_of_is_empty_without_looking_at_hours(
    organisation: Organisation,
) -> None:
    rollups.roll_up_batch(limit=1000)
    year = (month(2026, 9)[0], month(2026, 11)[1])
    with CaptureQueriesContext(connection) as queries:
        for of_few in ({}, {"department_ids": (organisation.departments[0].pk,)}):
            assert costs.calls(CostFilter(*year, purpose="JUDGE", **of_few), before=None) == []
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            cursor.execute("EXPLAIN (ANALYZE, COSTS OFF) " + query["sql"].replace("%", "%%"))
            lines = [line for (line,) in cursor.fetchall()]
            [at] = [n for n, line in enumerate(lines) if " on billing_hourlycost" in line]
            assert "never executed" in lines[at]


@pytest.mark.django_db(transaction=True)
def test_loaded_calls_are_settled_posted_and_in_the_totals() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    sizes = Sizes(rows=3000, months=3, departments=4, people=20, keys=6, waiting=50)
    load(sizes, now=now)
    whole = CostFilter(*month(2026, 9, months=3))
    figures = costs.overview(whole, list(Dimension), limit=None)
    assert figures.total.call_count == sizes.rows
    assert len(figures.lines[Dimension.DEPARTMENT]) == sizes.departments
    assert {line.key for line in figures.lines[Dimension.PRODUCT]} == {"chat", "api", "documents"}
    assert rollups.roll_up_batch(limit=1000) == sizes.waiting
    assert costs.overview(whole, list(Dimension), limit=None) == figures
    for starts_at in upkeep.months_with_cost():
        assert rollups.differences(starts_at=starts_at) == []
    with pytest.raises(NotEmptyError, match="calls already"):
        load(sizes, now=now)
