"""PDF, by pdfium: text page by page. pdfium is not thread-safe: only the child process calls this."""

from typing import Final

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from apps.documents.parsing.lines import clean, drop_repeated, join_hyphens, reflow, usual_length
from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError

PROBE_PAGES: Final = 30
_METADATA = {"Title": "title", "Author": "author", "Subject": "subject"}


def parse(content: bytes, _kind: str) -> Parsed:
    """Return the text of every page."""
    document = _open(content)
    pages = [
        ParsedPage(number, _page_text(document, number)) for number in range(1, len(document) + 1)
    ]
    pages = drop_repeated(pages)
    line_length = usual_length("\n".join(page.text for page in pages))
    pages = [ParsedPage(page.number, reflow(page.text, line_length)) for page in pages]
    found = document.get_metadata_dict(skip_empty=True)
    return Parsed(
        pages, {ours: clean(found[theirs]) for theirs, ours in _METADATA.items() if theirs in found}
    )


def probe(content: bytes) -> bool:
    """Say whether the first pages hold text; True too where the file is too long to be sure."""
    document = _open(content)
    count = min(len(document), PROBE_PAGES)
    return len(document) > PROBE_PAGES or any(
        _page_text(document, number).strip() for number in range(1, count + 1)
    )


def _open(content: bytes) -> pdfium.PdfDocument:
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise RefusedError(Refusal.ENCRYPTED) from error
        raise RefusedError(Refusal.DAMAGED, str(error)) from error
    if len(document) == 0:
        raise RefusedError(Refusal.DAMAGED, "no pages")
    return document


def _page_text(document: pdfium.PdfDocument, number: int) -> str:
    try:
        page = document[number - 1]
        textpage = page.get_textpage()
        # Not get_text_bounded(): it lost the ends of large words (seen on a title, 2026-11-22).
        text = textpage.get_text_range().replace("\r\n", "\n")
        textpage.close()
        page.close()
    except pdfium.PdfiumError as error:
        raise RefusedError(Refusal.DAMAGED, f"page {number}: {error}") from error
    return clean(join_hyphens(text))
