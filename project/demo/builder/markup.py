"""Parses the small Markdown subset of the demo sources into blocks; draws nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

BOLD = re.compile(r"\*\*(.+?)\*\*")


class Kind(Enum):
    """What a block is."""

    TITLE = auto()
    SUBTITLE = auto()
    CHAPTER = auto()
    SECTION = auto()
    PARAGRAPH = auto()
    CALLOUT = auto()
    BULLETS = auto()
    STEPS = auto()
    TABLE = auto()
    FIGURE = auto()


@dataclass(frozen=True, slots=True)
class Block:
    """One block: `text` for all but lists (`items`) and tables (`rows`, the header first)."""

    kind: Kind
    text: str = ""
    items: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    name: str = ""


def parse(source: str) -> tuple[Block, ...]:
    """This function will parse a source whose blocks are separated by blank lines."""
    chunks = (chunk.strip("\n") for chunk in re.split(r"\n\s*\n", source))
    blocks: list[Block] = []
    for chunk in filter(None, chunks):
        is_after_title = bool(blocks) and blocks[-1].kind is Kind.TITLE
        blocks.append(_block(chunk, is_after_title=is_after_title))
    return tuple(blocks)


def spans(text: str) -> Iterator[tuple[str, bool]]:
    """This function will yield the text's pieces, each with whether it is bold."""
    for index, piece in enumerate(BOLD.split(text)):
        if piece:
            yield piece, index % 2 == 1


def plain(text: str) -> str:
    """This function will return the text without its bold marks."""
    return BOLD.sub(r"\1", text)


def _block(chunk: str, *, is_after_title: bool) -> Block:
    lines = chunk.splitlines()
    flowing = " ".join(lines)
    headings = {"# ": Kind.TITLE, "## ": Kind.CHAPTER, "### ": Kind.SECTION}
    for mark, kind in headings.items():
        if chunk.startswith(mark):
            return Block(kind, text=flowing.removeprefix(mark))
    if chunk.startswith("> "):
        kind = Kind.SUBTITLE if is_after_title else Kind.CALLOUT
        return Block(kind, text=flowing.removeprefix("> "))
    if chunk.startswith("- "):
        return Block(Kind.BULLETS, items=tuple(line.removeprefix("- ") for line in lines))
    if re.match(r"\d+\. ", chunk):
        return Block(Kind.STEPS, items=tuple(line.split(". ", 1)[1] for line in lines))
    if chunk.startswith("|"):
        rows = tuple(
            tuple(cell.strip() for cell in line.strip("|").split("|"))
            for line in lines
            if not line.startswith("|---")
        )
        return Block(Kind.TABLE, rows=rows)
    if figure := re.fullmatch(r"!\[(.+)\]\(figure:(\w+)\)", chunk):
        return Block(Kind.FIGURE, text=figure[1], name=figure[2])
    return Block(Kind.PARAGRAPH, text=flowing)
