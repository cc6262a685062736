"""Word, PowerPoint and Excel, by kreuzberg: pages are slides and sheets; a Word file has one."""

import re
import secrets
from io import BytesIO
from typing import Any

from kreuzberg import (
    ExtractionConfig,
    ExtractionResult,
    KreuzbergError,
    PageConfig,
    extract_bytes_sync,
)

from apps.documents.parsing.archive import check_contents
from apps.documents.parsing.kinds import KINDS
from apps.documents.parsing.lines import clean
from apps.documents.parsing.tables import rows_as_text
from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError

_CONTENT_TYPES = {kind.code: kind.content_type for kind in KINDS}


def parse(content: bytes, kind: str) -> Parsed:
    """Return the text of a Word file, or of each slide or sheet."""
    check_contents(BytesIO(content))
    # Random, so that no text can pretend to be the mark between two slides.
    mark = f"slide-{secrets.token_hex(8)}-"
    try:
        result = extract_bytes_sync(
            content,
            _CONTENT_TYPES[kind],
            ExtractionConfig(
                use_cache=False,
                enable_quality_processing=False,
                pages=PageConfig(
                    extract_pages=True,
                    insert_page_markers=kind == "pptx",
                    marker_format=f"\n{mark}{{page_num}}\n",
                ),
            ),
        )
    except KreuzbergError as error:
        raise RefusedError(Refusal.DAMAGED, str(error)) from error
    if kind == "pptx":
        pages = _slides(result.content, mark)
    elif kind == "xlsx":
        pages = _sheets(result)
    else:
        pages = [ParsedPage(1, clean(result.content))]
    return Parsed(pages, describe(result.metadata))


def describe(metadata: Any) -> dict[str, str]:
    """Return the title and author a file gives itself."""
    authors = metadata.get("authors") or []
    found = {"title": metadata.get("title") or "", "author": ", ".join(authors)}
    return {name: clean(str(value)) for name, value in found.items() if value}


def _slides(text: str, mark: str) -> list[ParsedPage]:
    # Not the byte offsets kreuzberg gives: they are off by the blank lines between slides (4.10.4).
    before, *numbered = re.split(rf"^{mark}(\d+)$", text, flags=re.MULTILINE)
    if not numbered:
        return [ParsedPage(1, clean(before))]
    slides = zip(numbered[::2], numbered[1::2], strict=True)
    return [ParsedPage(int(number), clean(slide)) for number, slide in slides]


def _sheets(result: ExtractionResult) -> list[ParsedPage]:
    names: Any = result.metadata.get("sheet_names") or []
    if not result.tables:
        return [ParsedPage(1, clean(result.content))]
    texts: dict[int, list[str]] = {}
    for table in result.tables:
        texts.setdefault(table.page_number, []).append(rows_as_text(table.cells))
    pages = []
    for number, parts in sorted(texts.items()):
        name = names[number - 1] if 0 < number <= len(names) else ""
        pages.append(ParsedPage(number, clean("\n\n".join(filter(None, [name, *parts])))))
    return pages
