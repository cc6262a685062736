"""Writes a demo source as one HTML page."""

from html import escape
from pathlib import Path

from project.demo.builder.markup import Block, Kind, plain, spans

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1d2a28; max-width: 44rem; margin: 3rem auto; }
h1, h2 { color: #124a3e; } h2 { border-bottom: 1px solid #cdd8d5; padding-bottom: .25rem; }
h3 { margin-bottom: .25rem; } .lead { color: #5b6b68; }
"""


def write_html(path: Path, blocks: tuple[Block, ...]) -> None:
    """This function will write the blocks as one HTML page."""
    title = next(plain(block.text) for block in blocks if block.kind is Kind.TITLE)
    body = "\n".join(_element(block) for block in blocks)
    page = (
        f'<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _element(block: Block) -> str:
    tags = {
        Kind.TITLE: ("<h1>", "</h1>"),
        Kind.SUBTITLE: ('<p class="lead">', "</p>"),
        Kind.CHAPTER: ("<h2>", "</h2>"),
        Kind.SECTION: ("<h3>", "</h3>"),
        Kind.PARAGRAPH: ("<p>", "</p>"),
        Kind.CALLOUT: ("<blockquote>", "</blockquote>"),
    }
    if block.kind in tags:
        opening, closing = tags[block.kind]
        return opening + _inline(block.text) + closing
    if block.kind is Kind.TABLE:
        return _table(block.rows)
    tag = "ol" if block.kind is Kind.STEPS else "ul"
    items = "".join(f"<li>{_inline(item)}</li>" for item in block.items)
    return f"<{tag}>{items}</{tag}>"


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    head, *body = (
        "<tr>" + "".join(f"<{tag}>{_inline(cell)}</{tag}>" for cell in row) + "</tr>"
        for row, tag in zip(rows, ["th", *["td"] * (len(rows) - 1)], strict=True)
    )
    return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>"


def _inline(text: str) -> str:
    return "".join(
        f"<strong>{escape(piece)}</strong>" if is_bold else escape(piece)
        for piece, is_bold in spans(text)
    )
