"""Only numbers that exist become citations; a model that gives none is helped by shared words."""

from apps.chat.citations import settle_marks, supporting_numbers, with_marks
from apps.chat.prompts import Source


def source(number: int, text: str) -> Source:
    """Return a source of this text."""
    return Source(number, "leave.md", 1, text)


def test_numbers_that_exist_are_cited_in_order_of_mention() -> None:
    text, cited = settle_marks("Two [3], then [1, 3] and [2;9].", {1, 2, 3})
    assert text == "Two [3], then [1][3] and [2]."
    assert cited == [3, 1, 2]


def test_numbers_that_do_not_exist_go() -> None:
    assert settle_marks("Twenty [7].", {1}) == ("Twenty.", [])


def test_code_and_links_are_left_alone() -> None:
    text = "`row[1]` and [1](https://example.org)\n```\nrow[9]\n```"
    assert settle_marks(text, {1}) == (text, [])


def test_sources_with_the_answers_words_support_it() -> None:
    sources = [
        source(1, "Meals cost 30 pounds."),
        source(2, "Full-time employees have 28 days of paid annual leave."),
        source(3, "Days carried over expire on 30 June."),
    ]
    assert supporting_numbers("Full-time employees have 28 days of annual leave.", sources) == [2]


def test_the_best_source_stands_in_when_no_word_is_shared() -> None:
    assert supporting_numbers("Yes.", [source(4, "Dogs are allowed."), source(5, "Cats too.")]) == [
        4
    ]


def test_marks_go_to_the_end() -> None:
    assert with_marks("28 days. ", [1, 2]) == "28 days. [1][2]"
    assert with_marks("28 days.", []) == "28 days."
