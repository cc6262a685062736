"""Sentences and passages: exact offsets, nothing left out, never longer than allowed."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.documents.splitting import join_pages, split_passages, split_sentences


def words(text: str) -> int:
    """Count words and punctuation marks, as a tokenizer would without its vocabulary."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid 3.50 to J. Doe. He left.", ["Dr. Smith paid 3.50 to J. Doe.", "He left."]),
        ("See e.g. Fig. 3 and no. 7. It works.", ["See e.g. Fig. 3 and no. 7.", "It works."]),
        ("She said no. Then she left.", ["She said no.", "Then she left."]),
        ('He said "Stop." Nobody did.', ['He said "Stop."', "Nobody did."]),
        ("1. Open the cover.\n2. Pull the plug.", ["1. Open the cover.", "2. Pull the plug."]),
        ("A heading\n\nA sentence.", ["A heading", "A sentence."]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        (
            "lower case . the text of old abstracts .",
            ["lower case .", "the text of old abstracts ."],
        ),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
        ("Version 2.0 is out. v2.1 follows.", ["Version 2.0 is out. v2.1 follows."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


texts = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet="ab .,!?\n1", max_size=200),
        st.sampled_from(
            [
                "A sentence of some words. ",
                "Another, with e.g. 3.5 in it! ",
                "heading\n",
                "goes on and on ",
            ]
        ),
    ),
    max_size=40,
).map("".join)


@given(pages=st.lists(texts, max_size=4), max_tokens=st.integers(1, 60))
def test_passages_are_exact_complete_and_short_enough(pages: list[str], max_tokens: int) -> None:
    placed = join_pages(list(enumerate(pages, start=1)))
    text = "\n\n".join(pages)
    passages = split_passages(placed, count_tokens=words, max_tokens=max_tokens)

    covered = bytearray(len(text))
    for passage in passages:
        piece = text[passage.start_offset : passage.end_offset]
        assert piece
        assert piece == piece.strip()
        # A single character may be dearer than the cap; nothing shorter exists.
        assert words(piece) <= max_tokens or len(piece) == 1
        page = placed[passage.page_number - 1]
        assert page.start_offset <= passage.start_offset < page.start_offset + len(page.text)
        covered[passage.start_offset : passage.end_offset] = b"\1" * len(piece)
    assert all(covered[index] or character.isspace() for index, character in enumerate(text))
    assert [p.start_offset for p in passages] == sorted({p.start_offset for p in passages})
    assert [p.end_offset for p in passages] == sorted({p.end_offset for p in passages})


def test_a_passage_begins_with_the_end_of_the_one_before() -> None:
    text = " ".join(f"Sentence number {number} says something." for number in range(40))
    passages = split_passages(join_pages([(1, text)]), count_tokens=words, max_tokens=30)
    assert len(passages) > 5
    for before, after in pairwise(passages):
        assert before.start_offset < after.start_offset < before.end_offset


def test_whole_sentences_stay_whole() -> None:
    text = " ".join(f"Sentence number {number} says something." for number in range(40))
    for passage in split_passages(join_pages([(1, text)]), count_tokens=words, max_tokens=33):
        piece = text[passage.start_offset : passage.end_offset]
        assert piece.startswith("Sentence")
        assert piece.endswith(".")


def test_a_sentence_over_the_page_end_takes_its_passage_along() -> None:
    pages = join_pages([(1, "First. This one goes"), (2, "on here. Last one.")])
    text = "First. This one goes\n\non here. Last one."
    passages = split_passages(pages, count_tokens=words)
    assert [(p.page_number, text[p.start_offset : p.end_offset]) for p in passages] == [
        (1, "First. This one goes\n\non here."),
        (2, "Last one."),
    ]


def test_pages_are_kept_apart() -> None:
    passages = split_passages(join_pages([(1, "Short."), (3, "Other page.")]), count_tokens=words)
    assert [passage.page_number for passage in passages] == [1, 3]
