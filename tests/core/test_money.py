"""Sums and spellings of money."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.money import amount_nanos, format_nanos


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
