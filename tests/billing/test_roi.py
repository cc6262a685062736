"""The return on an investment: the worked example, its edges, and the month it is measured by."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.billing import roi
from apps.billing.models import RoiCase
from apps.billing.types import Usage
from apps.core.money import NANOS_PER_UNIT
from tests.factories.billing import PriceFactory, settled_call


def evaluated(before: int, after: int, hours: str, rate: int) -> roi.Return:
    """Evaluate amounts in whole units."""
    return roi.evaluate(
        before_nanos=before * NANOS_PER_UNIT,
        after_nanos=after * NANOS_PER_UNIT,
        hours=Decimal(hours),
        hourly_rate_nanos=rate * NANOS_PER_UNIT,
    )


def test_the_worked_example() -> None:
    """2,000 → 800 $ a month for 120 hours of 100 $: 12,000 $ are back after 10 months, and the first year nets 2,400 $."""
    result = evaluated(2000, 800, "120", 100)
    assert result.monthly_saving_nanos == 1200 * NANOS_PER_UNIT
    assert result.investment_nanos == 12_000 * NANOS_PER_UNIT
    assert result.payback_months == 10
    assert result.first_year_net_nanos == 2400 * NANOS_PER_UNIT
    assert result.first_year_percent == 20
    months = roi.course(result)
    assert [months[0], months[10], months[12]] == [
        -12_000 * NANOS_PER_UNIT,
        0,
        2400 * NANOS_PER_UNIT,
    ]
    assert len(months) == 14


@pytest.mark.parametrize(
    ("before", "after", "hours", "payback"),
    [
        (2000, 2000, "120", None),
        (2000, 2500, "120", None),
        (2000, 2500, "0", None),
        (2000, 800, "0", 0),
        (2000, 2000, "0", 0),
        (2000, 1100, "0.01", Fraction(1, 900)),
    ],
)
def test_what_saves_nothing_never_pays_back_and_what_cost_nothing_does_at_once(
    before: int, after: int, hours: str, payback: Fraction | None
) -> None:
    result = evaluated(before, after, hours, 100)
    assert result.payback_months == payback
    assert (result.first_year_percent is None) == (hours == "0")
    assert len(roi.course(result)) == 13


def test_a_payback_is_never_flattered() -> None:
    assert roi.in_months(Fraction(100, 99)) == Decimal("1.1")
    assert roi.in_months(Fraction(10)) == Decimal("10.0")
    assert roi.in_percent(Fraction(-1, 3)) == 0


def test_a_course_ends_after_five_years() -> None:
    assert len(roi.course(evaluated(2000, 1999, "120", 100))) == 61


AMOUNTS = st.integers(0, 10**16)


@given(AMOUNTS, AMOUNTS, st.decimals(0, 9999999, places=2), AMOUNTS)
def test_all_is_paid_back_at_the_payback_and_not_a_month_before(
    before: int, after: int, hours: Decimal, rate: int
) -> None:
    result = roi.evaluate(
        before_nanos=before, after_nanos=after, hours=hours, hourly_rate_nanos=rate
    )
    assert result.after_months(12) == result.first_year_net_nanos
    if result.payback_months is None:
        assert result.monthly_saving_nanos <= 0
        return
    whole = -(-result.payback_months.numerator // result.payback_months.denominator)
    assert result.after_months(whole) >= 0
    assert whole == 0 or result.after_months(whole - 1) < 0


@pytest.mark.django_db
def test_a_case_without_a_cost_after_is_measured_by_the_last_full_month() -> None:
    PriceFactory(nanos_per_million_tokens=10**15)
    for at, tokens in (
        (datetime(2026, 9, 30, 23, 59, tzinfo=UTC), 1),
        (datetime(2026, 10, 1, tzinfo=UTC), 5),
        (datetime(2026, 10, 31, 23, 59, tzinfo=UTC), 20),
        (datetime(2026, 11, 1, tzinfo=UTC), 100),
    ):
        settled_call(usage=Usage(input_tokens=tokens), at=at)
    case = RoiCase(
        name="Caching",
        monthly_before_nanos=100 * NANOS_PER_UNIT,
        hours=Decimal(3),
        hourly_rate_nanos=50 * NANOS_PER_UNIT,
    )
    measured = roi.last_full_month(datetime(2026, 11, 22, tzinfo=UTC))
    assert measured == roi.Measured(datetime(2026, 10, 1, tzinfo=UTC), 25 * NANOS_PER_UNIT)
    result = roi.of_case(case, measured=measured)
    assert (result.monthly_saving_nanos, result.payback_months) == (75 * NANOS_PER_UNIT, 2)
    case.monthly_after_nanos = 0
    result = roi.of_case(case, measured=measured)
    assert result.monthly_saving_nanos == 100 * NANOS_PER_UNIT
