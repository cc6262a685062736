"""CSV for spreadsheets: nothing in it calculates, and everything in it comes back."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.csv import BYTE_ORDER_MARK, FORMULA_STARTS, rows_to_csv


def read(text: str) -> list[list[str]]:
    assert text.startswith(BYTE_ORDER_MARK)
    return list(csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="")))


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_text_that_would_calculate_gets_an_apostrophe(start: str) -> None:
    [header, row] = read("".join(rows_to_csv([f"{start}head"], [[f"{start}1+1"]])))
    assert (header, row) == ([f"'{start}head"], [f"'{start}1+1"])


def test_values_are_written_as_what_they_are() -> None:
    row = [
        -5,
        Decimal("-0.000000001"),
        Decimal("1E+3"),
        None,
        date(2026, 11, 1),
        datetime(2026, 11, 1, 12, tzinfo=UTC),
        'a "quoted", text',
        "two\nlines",
    ]
    [_, read_again] = read("".join(rows_to_csv(["x"] * len(row), [row])))
    assert read_again == [
        "-5",
        "-0.000000001",
        "1000",
        "",
        "2026-11-01",
        "2026-11-01T12:00:00+00:00",
        'a "quoted", text',
        "two\nlines",
    ]


def test_rows_are_read_one_by_one() -> None:
    asked: list[int] = []

    def rows() -> Iterator[list[int]]:
        for number in range(3):
            asked.append(number)
            yield [number]

    lines = rows_to_csv(["number"], rows())
    assert [next(lines), next(lines)] == [BYTE_ORDER_MARK, "number\r\n"]
    assert asked == []
    assert (next(lines), asked) == ("0\r\n", [0])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_any_text_comes_back_and_none_calculates(texts: list[str]) -> None:
    [_, row] = read("".join(rows_to_csv(["x"] * len(texts), [texts])))
    assert not any(cell.startswith(FORMULA_STARTS) for cell in row)
    assert [cell.removeprefix("'") for cell in row] == [text.removeprefix("'") for text in texts]
