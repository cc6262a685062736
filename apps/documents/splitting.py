"""Sentences, and passages made of whole sentences; offsets into the given text are exact. No database, no model."""

import re
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
    """e.g i.e cf vs viz approx ca mr mrs ms mx dr prof rev hon st jr sr no nos vol pp p fig figs eq eqs sec ch art
    ref refs inc ltd co corp dept est ext tel max min incl excl resp jan feb mar apr jun jul aug sep sept oct nov dec
    mon tue wed thu fri sat sun al ed eds op""".split()
)
_TERMINALS = ".!?…:;。！？\"'”’»)]"


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
    return [span for line in _LINE.finditer(text) for span in _sentences_of_line(text, line.start(), line.end())]


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
    return bare.lower() in _ABBREVIATIONS or (len(bare) == 1 and bare.isupper())


def split_passages(
    pages: Sequence[PageText], *, count_tokens: Callable[[str], int], max_tokens: int = MAX_PASSAGE_TOKENS
) -> list[PassageSpan]:
    """Return passages of at most `max_tokens`, each beginning with the last sentence or two of the one before.

    A passage stays on its page, except that a sentence which runs over the page's end takes its passage along.
    Only a sentence longer than a passage is divided, at a space where it has one.
    """
    text = PAGE_SEPARATOR.join(page.text for page in pages)
    passages: list[PassageSpan] = []
    for number, sentences in _sentences_by_page(pages):
        pieces = [
            (piece, count_tokens(text[piece[0] : piece[1]]))
            for start, end in sentences
            for piece in _fitting(text, start, end, count_tokens, max_tokens)
        ]
        passages.extend(
            PassageSpan(number, start, end) for start, end in _packed(pieces, text, count_tokens, max_tokens)
        )
    return passages


def _sentences_by_page(pages: Sequence[PageText]) -> Iterator[tuple[int, list[Span]]]:
    """Yield each page's sentences; one that goes on over the page's end belongs to the page where it began."""
    carried: Span | None = None
    for index, page in enumerate(pages):
        sentences = [(page.start_offset + a, page.start_offset + b) for a, b in split_sentences(page.text)]
        if carried and sentences:
            previous = pages[index - 1].number
            yield previous, [(carried[0], sentences.pop(0)[1])]
            carried = None
        following = pages[index + 1].text.lstrip()[:1] if index + 1 < len(pages) else ""
        if following.islower() and len(sentences) > 0 and not page.text.rstrip().endswith(tuple(_TERMINALS)):
            carried = sentences.pop()
        if sentences:
            yield page.number, sentences
    if carried:
        yield pages[-1].number, [carried]


def _fitting(
    text: str, start: int, end: int, count_tokens: Callable[[str], int], max_tokens: int
) -> Iterator[Span]:
    """Yield the span whole if it fits, else in parts that do."""
    while start < end:
        stop = end
        while count_tokens(text[start:stop]) > max_tokens and stop - start > 1:
            middle = start + (stop - start) // 2
            space = max(text.rfind(" ", start + 1, middle + 1), text.rfind("\n", start + 1, middle + 1))
            stop = space if space > start else middle
        yield from _trimmed(text, start, stop)
        start = stop


def _packed(
    pieces: Sequence[tuple[Span, int]], text: str, count_tokens: Callable[[str], int], max_tokens: int
) -> Iterator[Span]:
    """Yield passages filled greedily; each new one starts with the overlap, if that leaves room for what is new."""
    first, tokens = 0, 0
    for index, ((_, end), size) in enumerate(pieces):
        tokens += size
        if tokens > max_tokens or count_tokens(text[pieces[first][0][0] : end]) > max_tokens:
            yield pieces[first][0][0], pieces[index - 1][0][1]
            first, tokens = _overlap(pieces, index, max_tokens)
            while first < index and count_tokens(text[pieces[first][0][0] : end]) > max_tokens:
                tokens -= pieces[first][1]
                first += 1
    if pieces:
        yield pieces[first][0][0], pieces[-1][0][1]


def _overlap(pieces: Sequence[tuple[Span, int]], index: int, max_tokens: int) -> tuple[int, int]:
    first, tokens, repeated = index, pieces[index][1], 0
    while (
        index - first < OVERLAP_SENTENCES
        and first > 0
        and repeated + pieces[first - 1][1] <= OVERLAP_TOKENS
        and tokens + pieces[first - 1][1] <= max_tokens
    ):
        first -= 1
        repeated += pieces[first][1]
        tokens += pieces[first][1]
    return first, tokens
