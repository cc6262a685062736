"""Sums and spellings of money."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.money import amount_nanos, format_nanos, in_nanos, in_units


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0 $"),
        (4_200_000, "0.0042 $"),
        (12_345, "0.000012 $"),
        (1, "0.0000000010 $"),
        (999_000_000, "1.00 $"),
        (120_000_000, "0.12 $"),
        (12_350_000_000, "12.35 $"),
        (1_284_400_000_000, "1,284 $"),
        (-4_200_000, "-0.0042 $"),
    ],
)
def test_as_many_digits_as_matter(nanos: int, text: str) -> None:
    assert format_nanos(nanos) == text


@pytest.mark.parametrize(
    ("total", "nanos"), [(500_000, 0), (1_500_000, 2), (2_500_000, 2), (999_999, 1)]
)
def test_halves_go_to_the_even_neighbour(total: int, nanos: int) -> None:
    assert amount_nanos(tokens_and_prices=[(1, total)]) == nanos


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**11)), max_size=4))
def test_the_sum_is_rounded_once(pairs: list[tuple[int, int]]) -> None:
    exact = sum(tokens * price for tokens, price in pairs)
    assert abs(amount_nanos(tokens_and_prices=pairs) * 10**6 - exact) * 2 <= 10**6


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0"), (5_000_000_000_000, "5000"), (1, "0.000000001"), (-1_500_000_000, "-1.5")],
)
def test_units_are_exact_and_short(nanos: int, text: str) -> None:
    assert f"{in_units(nanos):f}" == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_units_and_nanos_are_the_same_amount(nanos: int) -> None:
    assert in_nanos(in_units(nanos)) == nanos
    assert in_units(nanos) * 10**9 == Decimal(nanos)
