"""Text, Markdown and CSV: decoded by us, since guessing readers garble them."""

import codecs
import csv
from typing import Final

from apps.documents.parsing.lines import clean, reflow, usual_length
from apps.documents.parsing.tables import rows_as_text
from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_DELIMITERS: Final = ",;\t|"
_SAMPLE_CHARACTERS: Final = 16_384


def parse(content: bytes, kind: str) -> Parsed:
    """Return the text; wrapped lines of prose are joined, rows of a CSV carry their columns' names."""
    text = decode(content)
    if kind == "csv":
        return Parsed([ParsedPage(1, clean(_rows(text)))])
    text = clean(text)
    return Parsed([ParsedPage(1, clean(reflow(text, usual_length(text))))])


def decode(content: bytes) -> str:
    """Return the text of bytes in UTF-8 or -16 by their mark, else UTF-8, else Windows-1252."""
    try:
        if content.startswith(_UTF_16):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Five bytes of Windows-1252 mean nothing: they are shown as such rather than refused.
        return content.decode("cp1252", errors="replace")


def _rows(text: str) -> str:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SAMPLE_CHARACTERS], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        return rows_as_text(
            list(csv.reader(text.replace("\0", "").splitlines(keepends=True), dialect))
        )
    except csv.Error as error:
        raise RefusedError(Refusal.DAMAGED, str(error)) from error
