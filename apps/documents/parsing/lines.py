"""Lines and paragraphs of extracted text: cleaning, joining wrapped lines, dropping what repeats on every page."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from apps.documents.parsing.types import ParsedPage

# A line that wraps is about as long as its neighbours; the last of a paragraph, a heading or a cell is shorter.
WRAPPED_SHARE: Final = 0.75
USUAL_QUANTILE: Final = 0.95
MIN_WRAPPED_CHARACTERS: Final = 40
REPEATED_SHARE: Final = 0.3
MIN_PAGES_TO_REPEAT: Final = 2
MAX_NUMBERED_CHARACTERS: Final = 30
_EDGE_LINES = 2
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufeff\ufffe\uffff]")
_SPACES = re.compile(r"[ \t\xa0]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_HYPHEN_BREAK = re.compile(r"(?:[\ufffe\x02\xad]|(?<=[a-z]{2})-)\n(?=[a-z]{2})")
_STRUCTURAL = re.compile(
    r"\s*(?:[-*+•‣▪◦·–—]\s|\d{1,3}[.)]\s|\d+(?:\.\d+)+\s|[A-Za-z][.)]\s|\(\w{1,3}\)\s|#{1,6}\s|\||>|```|~~~|$)"
)
_DIGITS = re.compile(r"\d+")


def clean(text: str) -> str:
    """Return text fit for the database and the page: no NUL, no lone surrogate, plain newlines, at most one blank line."""
    text = (
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
    )
    text = _CONTROLS.sub("", text)
    lines = (line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def squeeze(text: str) -> str:
    """Return one line: runs of spaces and line ends become a space."""
    return _SPACES.sub(" ", text.replace("\n", " ")).strip()


def join_hyphens(text: str) -> str:
    """Put words together again that were divided at a line's end."""
    return _HYPHEN_BREAK.sub("", text)


def usual_length(text: str) -> int:
    """Return how long a full line of the text is: not its longest, since one wide table row would mislead."""
    lengths = sorted(len(line) for line in text.split("\n") if line.strip())
    return lengths[int(len(lengths) * USUAL_QUANTILE)] if lengths else 0


def reflow(text: str, line_length: int) -> str:
    """Join the lines of each wrapped paragraph; headings, lists, tables and short lines stay on lines of their own."""
    wrapped_from = max(MIN_WRAPPED_CHARACTERS, int(line_length * WRAPPED_SHARE))
    joined: list[str] = []
    may_go_on = False
    for line in text.split("\n"):
        if (
            may_go_on
            and not _STRUCTURAL.match(line)
            and not _is_heading(joined[-1], line, wrapped_from)
        ):
            joined[-1] = f"{joined[-1]} {line.strip()}"
        else:
            joined.append(line)
        may_go_on = len(line) >= wrapped_from and not line.lstrip().startswith(("|", "#"))
    return "\n".join(joined)


def _is_heading(before: str, line: str, wrapped_from: int) -> bool:
    """Say whether a short line without an end follows a finished sentence: the last line before it just happens to be long."""
    return (
        before.endswith((".", "!", "?", ":"))
        and len(line) < wrapped_from
        and not line.rstrip().endswith((".", "!", "?", ",", ";", ":"))
        and not line.lstrip()[:1].islower()
    )


def drop_repeated(pages: Sequence[ParsedPage]) -> list[ParsedPage]:
    """Drop headers and footers: first and last lines that, numbers aside, stand on a good share of the pages."""
    if len(pages) < MIN_PAGES_TO_REPEAT:
        return list(pages)
    seen = Counter(
        shape for page in pages for shape in {_shape(line) for line in _edges(page.text)}
    )
    needed = max(2 if len(pages) <= 3 else 3, int(len(pages) * REPEATED_SHARE))
    repeated = {shape for shape, count in seen.items() if count >= needed}
    return [ParsedPage(page.number, _without(page.text, repeated)) for page in pages]


def _edges(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if line.strip()]
    return lines[:_EDGE_LINES] + lines[-_EDGE_LINES:]


def _shape(line: str) -> str:
    line = squeeze(line)
    # "Page 3 of 40" is one line on all pages; a longer line with another number says something else.
    return _DIGITS.sub("0", line) if len(line) <= MAX_NUMBERED_CHARACTERS else line


def _without(text: str, repeated: set[str]) -> str:
    lines = text.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip()]
    edges = set(filled[:_EDGE_LINES] + filled[-_EDGE_LINES:])
    kept = [
        line
        for index, line in enumerate(lines)
        if index not in edges or _shape(line) not in repeated
    ]
    # A page of nothing but such lines is no page with a header.
    return "\n".join(kept).strip("\n") or text
