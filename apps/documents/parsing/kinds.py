"""The supported kinds of file, and the check that a file's first bytes are what its extension says."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from apps.documents.parsing.types import Refusal, RefusedError

HEAD_BYTES: Final = 4096
_ZIP = b"PK\x03\x04"
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_OFFICE = "application/vnd.openxmlformats-officedocument."


@dataclass(frozen=True, slots=True)
class Kind:
    """A supported format: `family` says which parser reads it, `page_word` what its pages are."""

    code: str
    label: str
    extensions: tuple[str, ...]
    content_type: str
    family: str
    page_word: str = ""


KINDS: Final = (
    Kind("pdf", "PDF", (".pdf",), "application/pdf", "pdf", "page"),
    Kind("docx", "Word", (".docx",), f"{_OFFICE}wordprocessingml.document", "office"),
    Kind(
        "pptx", "PowerPoint", (".pptx",), f"{_OFFICE}presentationml.presentation", "office", "slide"
    ),
    Kind("xlsx", "Excel", (".xlsx",), f"{_OFFICE}spreadsheetml.sheet", "office", "sheet"),
    Kind("html", "HTML", (".html", ".htm"), "text/html", "html"),
    Kind("md", "Markdown", (".md", ".markdown"), "text/markdown", "plain"),
    Kind("csv", "CSV", (".csv",), "text/csv", "plain"),
    Kind("txt", "Text", (".txt", ".text"), "text/plain", "plain"),
)
EXTENSIONS: Final = tuple(extension for kind in KINDS for extension in kind.extensions)
_BY_EXTENSION = {extension: kind for kind in KINDS for extension in kind.extensions}
_BY_CONTENT_TYPE = {kind.content_type: kind for kind in KINDS}
# Each office format names its main part; the archive's directory tells them apart.
MAIN_PARTS: Final = {
    "docx": "word/document.xml",
    "pptx": "ppt/presentation.xml",
    "xlsx": "xl/workbook.xml",
}


def kind_of_content_type(content_type: str) -> Kind:
    """Return the kind stored with a document."""
    return _BY_CONTENT_TYPE[content_type]


def kind_of(name: str, head: bytes) -> Kind:
    """Return the kind a name's extension promises, if the first bytes keep the promise.

    Raises:
        RefusedError: UNSUPPORTED extension, EMPTY, ENCRYPTED (an office file in its encrypted wrapping) or WRONG_TYPE.
    """
    kind = _BY_EXTENSION.get(PurePosixPath(name).suffix.lower())
    if kind is None:
        raise RefusedError(Refusal.UNSUPPORTED)
    if not head:
        raise RefusedError(Refusal.EMPTY)
    if kind.family == "office" and head.startswith(_COMPOUND_FILE):
        # Word, PowerPoint and Excel put a password-protected file into the container of the old formats.
        raise RefusedError(Refusal.ENCRYPTED)
    fits = {
        # Readers accept a few bytes of junk before the header, and so do we.
        "pdf": b"%PDF-" in head[:1024],
        "office": head.startswith(_ZIP),
    }.get(kind.family, _looks_like_text(head))
    if not fits:
        raise RefusedError(Refusal.WRONG_TYPE)
    return kind


def _looks_like_text(head: bytes) -> bool:
    if head.startswith(_BYTE_ORDER_MARKS):
        return True
    if head.startswith((b"%PDF-", _ZIP, _COMPOUND_FILE)):
        return False
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return b"\0" not in head and controls <= len(head) // 100
