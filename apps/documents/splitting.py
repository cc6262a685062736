"""Sentences, and passages made of whole sentences; offsets into the given text are exact. No database, no model."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_PASSAGE_TOKENS: Final = 200
OVERLAP_SENTENCES: Final = 2
OVERLAP_TOKENS: Final = 40
PAGE_SEPARATOR: Final = "\n\n"

Span = tuple[int, int]

_LINE = re.compile(r"[^\n]+")
# The end of a sentence: a full stop and what closes after it, then space and no small letter; or a stop standing alone.
_END = re.compile(
    r"""(?:(?<=\s)[.!?]+ | [.!?…]+["'”’»)\]]*(?=\s+[^\sa-z]) | [。！？]+["'”’」』）]*)(?=\s|$|(?<=[。！？」』）]))""",
    re.VERBOSE,
)
_LAST_WORD = re.compile(r"(\S+)$")
_LIST_NUMBER = re.compile(r"\s*(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})$")
_ABBREVIATIONS: Final = frozenset(
    [
        "e.g",
        "i.e",
        "cf",
        "vs",
        "viz",
        "approx",
        "ca",
        "mr",
        "mrs",
        "ms",
        "mx",
        "dr",
        "prof",
        "rev",
        "hon",
        "st",
        "jr",
        "sr",
        "inc",
        "ltd",
        "corp",
        "dept",
        "est",
        "incl",
        "excl",
        "resp",
        "al",
        "eds",
    ]
)
# Words of their own, too: "no. 5" goes on, "She said no. Then …" does not.
_BEFORE_NUMBERS: Final = frozenset(
    [
        "no",
        "nos",
        "vol",
        "pp",
        "p",
        "fig",
        "figs",
        "eq",
        "eqs",
        "sec",
        "ch",
        "art",
        "ref",
        "refs",
        "ext",
        "tel",
        "max",
        "min",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
    ]
)
_TERMINALS: Final = tuple(".!?…:;。！？\"'”’»)]")


@dataclass(frozen=True, slots=True)
class PageText:
    """A page of a version: its number, where it starts in the version's text, and what it says."""

    number: int
    start_offset: int
    text: str


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """A passage: the version's text [start_offset, end_offset), on the page where it begins."""

    page_number: int
    start_offset: int
    end_offset: int


def join_pages(pages: Sequence[tuple[int, str]]) -> list[PageText]:
    """Return the pages with the offsets they have when joined by `PAGE_SEPARATOR`."""
    placed, offset = [], 0
    for number, text in pages:
        placed.append(PageText(number, offset, text))
        offset += len(text) + len(PAGE_SEPARATOR)
    return placed


def split_sentences(text: str) -> list[Span]:
    """Return the [start, end) of each sentence, without the space around it; a line's end always ends a sentence.

    Together they cover everything but white space. Table rows, list items and headings stand on lines of their own.
    """
    return [
        span
        for line in _LINE.finditer(text)
        for span in _sentences_of_line(text, line.start(), line.end())
    ]


def _sentences_of_line(text: str, start: int, end: int) -> Iterator[Span]:
    position = start
    line = text[start:end]
    for match in _END.finditer(line):
        if not _is_abbreviation(line, position - start, match.start()):
            yield from _trimmed(text, position, start + match.end())
            position = start + match.end()
    yield from _trimmed(text, position, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        begin = start + piece.index(stripped)
        yield begin, begin + len(stripped)


def _is_abbreviation(line: str, sentence_start: int, stop: int) -> bool:
    before = line[sentence_start:stop]
    word = _LAST_WORD.search(before)
    if word is None or line[stop] != ".":
        return False
    if _LIST_NUMBER.match(before):
        return True
    bare = word[1].lstrip("(\"'“‘[")
    if bare.lower() in _BEFORE_NUMBERS:
        return line[stop + 1 :].lstrip()[:1].isdigit()
    return bare.lower() in _ABBREVIATIONS or (len(bare) == 1 and bare.isupper())


def split_passages(
    pages: Sequence[PageText],
    *,
    count_tokens: Callable[[str], int],
    max_tokens: int = MAX_PASSAGE_TOKENS,
) -> list[PassageSpan]:
    """Return passages of at most `max_tokens`, each beginning with the last sentence or two of the one before.

    A passage stays on its page, except that a sentence which runs over the page's end takes its passage along.
    Only a sentence longer than a passage is divided, at a space where it has one.
    """
    text = PAGE_SEPARATOR.join(page.text for page in pages)
    starts = [page.start_offset for page in pages]
    passages: list[PassageSpan] = []
    for sentences in _sentences_by_page(pages):
        pieces = [
            _Piece(
                part[0],
                part[1],
                count_tokens(text[part[0] : part[1]]),
                is_glued=_is_inside_word(text, part[0]),
            )
            for start, end in sentences
            for part in _fitting(text, start, end, count_tokens, max_tokens)
        ]
        passages.extend(
            PassageSpan(pages[bisect_right(starts, start) - 1].number, start, end)
            for start, end in _packed(pieces, max_tokens)
        )
    return passages


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a part of one too long; glued: the cut went through a word, so tokens no longer add up."""

    start: int
    end: int
    tokens: int
    is_glued: bool


def _is_inside_word(text: str, offset: int) -> bool:
    return (
        offset > 0
        and not text[offset - 1].isspace()
        and text[offset].isalnum()
        and text[offset - 1].isalnum()
    )


def _sentences_by_page(pages: Sequence[PageText]) -> Iterator[list[Span]]:
    """Yield each page's sentences; one that goes on over the page's end stands with the page where it began."""
    begun: Span | None = None
    waiting: list[Span] = []
    for page, following in zip(pages, [*pages[1:], None], strict=False):
        found = [
            (page.start_offset + start, page.start_offset + end)
            for start, end in split_sentences(page.text)
        ]
        if begun and found:
            yield [*waiting, (begun[0], found.pop(0)[1])]
            begun = None
        if found and following and _goes_on(page.text, following.text):
            begun = found.pop()
            waiting = found
        elif found:
            yield found


def _goes_on(text: str, following: str) -> bool:
    return following.lstrip()[:1].islower() and not text.rstrip().endswith(_TERMINALS)


def _fitting(
    text: str, start: int, end: int, count_tokens: Callable[[str], int], max_tokens: int
) -> Iterator[Span]:
    """Yield the span whole if it fits, else in parts that do."""
    while start < end:
        stop = end
        while count_tokens(text[start:stop]) > max_tokens and stop - start > 1:
            middle = start + (stop - start + 1) // 2
            space = max(
                text.rfind(" ", start + 1, middle + 1), text.rfind("\n", start + 1, middle + 1)
            )
            stop = space if space > start else min(middle, stop - 1)
        yield from _trimmed(text, start, stop)
        start = stop


def _packed(pieces: Sequence[_Piece], max_tokens: int) -> Iterator[Span]:
    """Yield passages filled greedily; each new one starts with the overlap, if that leaves room for what is new."""
    first, tokens = 0, 0
    for index, piece in enumerate(pieces):
        tokens += piece.tokens
        if index > first and (tokens > max_tokens or piece.is_glued):
            yield pieces[first].start, pieces[index - 1].end
            first, tokens = _overlap(pieces, index, max_tokens)
    if pieces:
        yield pieces[first].start, pieces[-1].end


def _overlap(pieces: Sequence[_Piece], index: int, max_tokens: int) -> tuple[int, int]:
    """Return where the passage that brings in `index` starts, and its tokens so far."""
    first, tokens, repeated = index, pieces[index].tokens, 0
    while first > 0 and index - first < OVERLAP_SENTENCES and not pieces[first].is_glued:
        size = pieces[first - 1].tokens
        if repeated + size > OVERLAP_TOKENS or tokens + size > max_tokens:
            break
        first, tokens, repeated = first - 1, tokens + size, repeated + size
    return first, tokens
