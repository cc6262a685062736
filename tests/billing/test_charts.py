"""The geometry of the cost charts."""

from datetime import date

import pytest

from apps.billing.pages.charts import FULL, BudgetBar, axis_end, budget_bar, day_chart

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("nanos", "end"), [(0, 0), (1, 1), (3, 4), (40, 40), (41, 60), (601, 800), (801, 1000)]
)
def test_an_axis_ends_at_a_number_to_be_read(nanos: int, end: int) -> None:
    assert axis_end(nanos) == end


def test_days_share_one_axis_with_the_month_before() -> None:
    chart = day_chart(
        [(date(2026, 3, 1), 2, 300), (TODAY, 0, 0), (date(2026, 3, 3), 0, 0)],
        before={1: 800, 2: 1},
        today=TODAY,
        urls={date(2026, 3, 1): "/first", TODAY: "/second"},
    )
    first, second, third = chart.days
    assert (chart.top_nanos, chart.half_nanos) == (800, 400)
    assert (first.height, first.before_height) == (375, FULL)
    assert (first.top, first.before_top) == (FULL - 375, 0)
    assert (first.url, second.url) == ("/first", "")
    assert (second.height, second.before_height, third.before_nanos) == (0, 8, None)
    assert [day.is_ahead for day in chart.days] == [False, False, True]
    assert first.says == "1 March: 0.00000030 $, 2 calls; the month before 0.00000080 $"


@pytest.mark.parametrize(
    ("limit", "soft", "spent", "held", "bar"),
    [
        (10, 8, 4, 1, BudgetBar(400, 100, 800)),
        (10, 10, 4, 0, BudgetBar(400, 0, None)),
        (10, None, 15, 3, BudgetBar(FULL, 0, None)),
        (10, None, 9, 9, BudgetBar(900, 100, None)),
        (0, 0, 0, 0, BudgetBar(0, 0, None)),
        (0, None, 1, 0, BudgetBar(FULL, 0, None)),
    ],
)
def test_a_budgets_bar_never_leaves_its_track(
    limit: int, soft: int | None, spent: int, held: int, bar: BudgetBar
) -> None:
    made = budget_bar(
        limit_nanos=limit, soft_limit_nanos=soft, spent_nanos=spent, reserved_nanos=held
    )
    assert made == bar
