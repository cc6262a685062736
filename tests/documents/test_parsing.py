"""What is read from each kind of file, and which files are refused for what reason."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from apps.documents.extraction import extract
from apps.documents.parsing.archive import check_directory
from apps.documents.parsing.kinds import KINDS, kind_of
from apps.documents.parsing.lines import clean, drop_repeated, reflow
from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError
from tests.documents import files

DEMO = Path(__file__).parents[2] / "project" / "demo" / "files"


def read(content: bytes, kind: str) -> Parsed:
    return extract(io.BytesIO(content), kind)


def reason(content: bytes, kind: str) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        read(content, kind)
    return caught.value.code


def test_a_pdf_is_read_page_by_page() -> None:
    parsed = read(files.pdf("The first page.", "", "The third page."), "pdf")
    assert parsed.pages == [ParsedPage(1, "The first page."), ParsedPage(3, "The third page.")]


def test_wrapped_lines_of_a_pdf_become_paragraphs() -> None:
    sentence = "This sentence is so long that it does not fit on one line of the page and has to go on below. "
    parsed = read(files.pdf(sentence * 5), "pdf")
    assert parsed.pages[0].text == (sentence * 5).strip()


def test_a_word_file_is_one_page() -> None:
    assert read(files.docx("One.", "Two."), "docx").pages == [ParsedPage(1, "One.\n\nTwo.")]


def test_slides_are_pages() -> None:
    parsed = read(files.pptx("Grüße", "Second – slide", "Third"), "pptx")
    assert [(page.number, page.text) for page in parsed.pages] == [
        (1, "Grüße"),
        (2, "Second – slide"),
        (3, "Third"),
    ]


def test_sheets_are_pages_and_rows_carry_their_columns_names() -> None:
    content = files.xlsx(Prices=[["Item", "Price"], ["Pump", 40]], Notes=[["Call us."]])
    assert read(content, "xlsx").pages == [
        ParsedPage(1, "Prices\n\nItem, Price\nItem: Pump; Price: 40"),
        ParsedPage(2, "Notes\n\nCall us."),
    ]


def test_html_gives_what_a_reader_sees() -> None:
    parsed = read(
        b"<html><head><title>Help</title><script>evil()</script></head><body><h1>Help</h1>"
        b"<p>Press &amp; hold.</p><style>p{}</style></body></html>",
        "html",
    )
    assert "Press & hold." in parsed.pages[0].text
    assert "evil" not in parsed.pages[0].text
    assert parsed.metadata["title"] == "Help"


@pytest.mark.parametrize(
    "content",
    [
        "Grüße".encode(),
        b"\xef\xbb\xbf" + "Grüße".encode(),
        "Grüße".encode("cp1252"),
        "Grüße".encode("utf-16"),
    ],
    ids=["utf-8", "utf-8 with mark", "windows-1252", "utf-16"],
)
def test_text_is_decoded(content: bytes) -> None:
    assert read(content, "txt").pages[0].text == "Grüße"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_rows_of_a_csv_carry_their_columns_names(delimiter: str) -> None:
    rows = [["name", "days"], ["leave", "28"], ['"sick, paid"', "10"]]
    content = "\n".join(delimiter.join(row) for row in rows).encode()
    assert read(content, "csv").pages[0].text.split("\n")[1:] == [
        "name: leave; days: 28",
        "name: sick, paid; days: 10",
    ]


def test_nothing_the_database_refuses_comes_through() -> None:
    assert clean("a\0b\ud800c\r\nd\x0ce") == "abc\nd\ne"


def test_headers_and_footers_go() -> None:
    pages = [
        ParsedPage(n, f"Manual\nText number {n} with words of its own.\nPage {n} of 5")
        for n in range(1, 6)
    ]
    kept = [page.text for page in drop_repeated(pages)]
    assert kept == [f"Text number {n} with words of its own." for n in range(1, 6)]


def test_lists_tables_and_headings_are_not_joined() -> None:
    text = "# Heading\n- one\n- two\n| a | b |\n| 1 | 2 |"
    assert reflow(text, 20) == text


@pytest.mark.parametrize("path", sorted(DEMO.iterdir()), ids=lambda path: path.name)
def test_the_demo_documents_are_read(path: Path) -> None:
    content = path.read_bytes()
    parsed = read(content, kind_of(path.name, content[:4096]).code)
    assert sum(len(page.text) for page in parsed.pages) > 500
    assert not any("\x00" in page.text for page in parsed.pages)


def test_an_encrypted_pdf_is_refused() -> None:
    assert reason(files.encrypted_pdf(), "pdf") is Refusal.ENCRYPTED


def test_an_encrypted_office_file_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        kind_of("plan.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100))
    assert caught.value.code is Refusal.ENCRYPTED


@pytest.mark.parametrize("kind", ["pdf", "docx", "pptx", "xlsx"])
def test_damaged_files_are_refused(kind: str) -> None:
    whole = {
        "pdf": files.pdf("A."),
        "docx": files.docx("A."),
        "pptx": files.pptx("A."),
        "xlsx": files.xlsx(A=[["a"]]),
    }
    assert reason(whole[kind][: len(whole[kind]) // 2], kind) is Refusal.DAMAGED


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (files.scanned_pdf(), "pdf"),
        (files.docx(), "docx"),
        (b" \n\t ", "txt"),
        (b"<html></html>", "html"),
    ],
    ids=["scan", "docx", "txt", "html"],
)
def test_files_without_text_are_refused(content: bytes, kind: str) -> None:
    assert reason(content, kind) is Refusal.NO_TEXT


@pytest.mark.parametrize(
    ("name", "head", "code"),
    [
        ("a.exe", b"MZ", Refusal.UNSUPPORTED),
        ("noending", b"text", Refusal.UNSUPPORTED),
        ("a.pdf", b"", Refusal.EMPTY),
        ("a.pdf", b"PK\x03\x04", Refusal.WRONG_TYPE),
        ("a.docx", b"%PDF-1.7", Refusal.WRONG_TYPE),
        ("a.txt", b"MZ\x00\x00\x01", Refusal.WRONG_TYPE),
        ("a.csv", b"%PDF-1.7", Refusal.WRONG_TYPE),
        ("a.html", b"\x89PNG\r\n\x1a\n\x00\x00", Refusal.WRONG_TYPE),
    ],
)
def test_the_content_must_be_what_the_name_says(name: str, head: bytes, code: Refusal) -> None:
    with pytest.raises(RefusedError) as caught:
        kind_of(name, head)
    assert caught.value.code is code


def directory_reason(content: bytes, kind: str = "docx") -> Refusal:
    found = next(one for one in KINDS if one.code == kind)
    with pytest.raises(RefusedError) as caught:
        check_directory(io.BytesIO(content), kind=found, size_bytes=len(content))
    return caught.value.code


def test_one_office_format_under_anothers_name_is_refused() -> None:
    assert directory_reason(files.xlsx(A=[["a"]]), "docx") is Refusal.WRONG_TYPE


def test_a_zip_bomb_is_refused_by_its_directory() -> None:
    assert directory_reason(files.bomb()) is Refusal.BOMB


def test_a_zip_with_countless_entries_is_refused() -> None:
    out = io.BytesIO(files.docx("A."))
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"word/media/{number}", b"")
    assert directory_reason(out.getvalue()) is Refusal.BOMB


def test_a_zip_bomb_that_lies_about_its_size_is_refused_before_the_parser() -> None:
    content = files.lying_bomb()
    docx = next(one for one in KINDS if one.code == "docx")
    check_directory(io.BytesIO(content), kind=docx, size_bytes=len(content))
    assert reason(content, "docx") is Refusal.BOMB


def test_the_child_gets_no_more_memory_than_it_is_allowed() -> None:
    code = (
        f"from apps.documents.parsing.child import limit; limit('probe'); bytearray({4 * 1024**3})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "MemoryError" in ended.stderr
