"""The demo's manifest, files and gold questions agree with each other."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import kreuzberg
import pypdfium2
import pytest

from project.demo.builder.build import build_files
from project.demo.builder.long_manual import NEEDLE_PAGE, NEEDLE_SENTENCE, write_long_manual
from project.demo.manifest import (
    FILES_DIR,
    Answerability,
    Visibility,
    load_manifest,
    load_questions,
)

MANIFEST = load_manifest()
QUESTIONS = load_questions()
ANSWERED = [entry for entry in QUESTIONS if entry.answerability is Answerability.ANSWERED]
DOCUMENTS = {document.file: document for document in MANIFEST.documents}
LARGEST_FILE_BYTES = 500_000


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def pdf_pages(path: Path) -> list[str]:
    with pypdfium2.PdfDocument(path) as pdf:
        return [one_line(page.get_textpage().get_text_range()) for page in pdf]


@cache
def text_of(path: Path) -> str:
    match path.suffix:
        case ".pdf":
            return " ".join(pdf_pages(path))
        case ".docx" | ".pptx" | ".xlsx" | ".html":
            return one_line(kreuzberg.extract_file_sync(path).content)
        case _:
            return one_line(path.read_text(encoding="utf-8"))


def test_the_files_are_exactly_those_of_the_manifest_and_small() -> None:
    assert {path.name for path in FILES_DIR.iterdir()} == set(DOCUMENTS)
    assert len(DOCUMENTS) >= 12
    assert {Path(name).suffix for name in DOCUMENTS} == {
        ".pdf", ".docx", ".pptx", ".xlsx", ".html", ".md", ".txt", ".csv",
    }  # fmt: skip
    assert max(path.stat().st_size for path in FILES_DIR.iterdir()) < LARGEST_FILE_BYTES


def test_every_visibility_is_shown_and_names_known_people() -> None:
    emails = {person.email for person in MANIFEST.people}
    codes = {department.code for department in MANIFEST.departments}
    assert {document.visibility for document in MANIFEST.documents} == set(Visibility)
    for document in MANIFEST.documents:
        assert {document.owner, *document.people} <= emails
        assert document.department in codes
        assert bool(document.people) == (document.visibility is Visibility.CUSTOM)


def test_three_departments_have_a_head_and_two_members_each_and_there_is_an_operator() -> None:
    memberships = Counter(
        email for department in MANIFEST.departments for email in department.people
    )
    assert [len(department.members) for department in MANIFEST.departments] == [2, 2, 2]
    assert sorted(memberships.values())[-2:] == [1, 2]
    operators = {person.email for person in MANIFEST.people if person.is_operator}
    assert len(operators) == 1
    assert {person.email for person in MANIFEST.people} == operators | set(memberships)
    people_of = {department.code: department.people for department in MANIFEST.departments}
    for person in MANIFEST.people:
        assert person.is_operator or person.email in people_of[person.default_department]


def test_there_are_enough_questions_of_each_kind_and_half_are_held_out() -> None:
    kinds = Counter(entry.answerability for entry in QUESTIONS)
    assert kinds[Answerability.ANSWERED] >= 80
    assert kinds[Answerability.UNANSWERABLE] >= 40
    assert kinds[Answerability.SMALL_TALK] >= 20
    assert len({entry.text for entry in QUESTIONS}) == len(QUESTIONS)
    for kind, count in kinds.items():
        held_out = sum(entry.is_held_out for entry in QUESTIONS if entry.answerability is kind)
        assert abs(count - 2 * held_out) <= 1
    assert {entry.file for entry in ANSWERED} == set(DOCUMENTS)


@pytest.mark.parametrize("question", ANSWERED, ids=lambda entry: entry.text)
def test_the_answer_stands_in_a_document_the_asker_may_read(question) -> None:
    document = DOCUMENTS[question.file]
    assert one_line(question.answer_sentence) in text_of(document.path)
    assert any(
        word.lower() in question.answer_sentence.lower() for word in question.answer_keywords
    )
    assert MANIFEST.may_read(email=question.asker, document=document)


def test_the_manual_has_thirty_pages_with_text() -> None:
    pages = pdf_pages(DOCUMENTS["skerry-manual.pdf"].path)
    assert len(pages) >= 30
    assert all(len(page) > 100 for page in pages)


def test_a_rebuild_gives_the_committed_texts(tmp_path: Path) -> None:
    build_files(tmp_path)
    for document in MANIFEST.documents:
        assert text_of(tmp_path / document.file) == text_of(document.path), document.file


def test_the_long_manual_hides_its_needle_on_one_page_and_repeats_no_sentence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "long.pdf"
    write_long_manual(path, pages=120)
    pages = pdf_pages(path)
    assert len(pages) == 120
    assert [number for number, page in enumerate(pages, 1) if NEEDLE_SENTENCE in page] == [
        NEEDLE_PAGE
    ]
    sentences = Counter(re.findall(r"[^.]+ W-\d+\.", " ".join(pages)))
    assert len(sentences) > 2000
    assert max(sentences.values()) == 1
