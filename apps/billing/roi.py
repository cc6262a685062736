"""The return on an investment that makes calls cheaper: its arithmetic, and the measured cost of a month."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from apps.billing.calendar import month_of, previous_month
from apps.billing.costs.overview import CostFilter, total
from apps.billing.models import RoiCase

MONTHS_A_YEAR = 12
# How far ahead the course is drawn at most: what takes longer to pay back is not decided by months.
MOST_MONTHS = 60
# Months drawn past the one that pays back.
MONTHS_AFTER = 3


@dataclass(frozen=True, slots=True)
class Return:
    """What an investment brings. `payback_months` None: it never pays back; 0: it cost nothing, so at once.

    `first_year_percent` is the first year's net over the investment; None where nothing was invested.
    """

    monthly_before_nanos: int
    monthly_after_nanos: int
    monthly_saving_nanos: int
    investment_nanos: int
    payback_months: Fraction | None
    first_year_net_nanos: int
    first_year_percent: Fraction | None

    def after_months(self, months: int) -> int:
        """Return what has been won or lost so many months on, the investment paid."""
        return months * self.monthly_saving_nanos - self.investment_nanos


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one whole month as it was measured."""

    starts_at: datetime
    amount_nanos: int


def evaluate(
    *, before_nanos: int, after_nanos: int, hours: Decimal, hourly_rate_nanos: int
) -> Return:
    """Return what so many hours of work bring that take a month's cost from `before_nanos` to `after_nanos`.

    Investment = hours × rate (rounded half-even once), payback = investment ÷ monthly saving,
    first year = 12 × monthly saving − investment. Nothing is discounted.
    """
    saving = before_nanos - after_nanos
    product = hours * hourly_rate_nanos
    investment = int(product.to_integral_value(rounding=ROUND_HALF_EVEN))
    net = MONTHS_A_YEAR * saving - investment
    return Return(
        monthly_before_nanos=before_nanos,
        monthly_after_nanos=after_nanos,
        monthly_saving_nanos=saving,
        investment_nanos=investment,
        payback_months=_payback(saving, investment),
        first_year_net_nanos=net,
        first_year_percent=Fraction(100 * net, investment) if investment else None,
    )


def _payback(saving: int, investment: int) -> Fraction | None:
    if saving < 0:
        return None
    if investment == 0:
        return Fraction(0)
    return Fraction(investment, saving) if saving else None


def course(result: Return) -> Sequence[int]:
    """Return what has been won or lost at the end of each month, from month 0 to a year or a little past the payback."""
    months = MONTHS_A_YEAR
    if result.payback_months is not None:
        whole = -(-result.payback_months.numerator // result.payback_months.denominator)
        months = min(max(months, whole + MONTHS_AFTER), MOST_MONTHS)
    return [result.after_months(month) for month in range(months + 1)]


def last_full_month(at: datetime) -> Measured:
    """Return what all calls of the last whole month cost, as the cost pages have it."""
    starts_at, _ends_at = month_of(at)
    before = previous_month(starts_at)
    cost = total(CostFilter(starts_at=before, ends_at=starts_at))
    return Measured(before, cost.amount_nanos)


def of_case(case: RoiCase, *, measured: Measured | None) -> Return:
    """Return a stored case's result; `measured` is its cost after where none was entered."""
    after = case.monthly_after_nanos
    if after is None:
        after = measured.amount_nanos if measured else 0
    return evaluate(
        before_nanos=case.monthly_before_nanos,
        after_nanos=after,
        hours=case.hours,
        hourly_rate_nanos=case.hourly_rate_nanos,
    )


def in_months(payback: Fraction) -> Decimal:
    """Return a payback with a tenth, rounded up: it is never flattered."""
    return _decimal(payback).quantize(Decimal("0.1"), rounding=ROUND_CEILING)


def in_percent(share: Fraction) -> int:
    """Return a percentage rounded half-even to a whole number."""
    return round(share)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)
