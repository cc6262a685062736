"""Reads the demo company's manifest and gold questions; knows nothing of the database."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

DEMO_DIR = Path(__file__).parent
FILES_DIR = DEMO_DIR / "files"


class Visibility(StrEnum):
    """Who may read a demo document; the names of the audience kinds."""

    EVERYONE = "EVERYONE"
    DEPARTMENT = "DEPARTMENT"
    USER = "USER"
    CUSTOM = "CUSTOM"


class Answerability(StrEnum):
    """What a right reply to a gold question is."""

    ANSWERED = "ANSWERED"
    UNANSWERABLE = "UNANSWERABLE"
    SMALL_TALK = "SMALL_TALK"


@dataclass(frozen=True, slots=True)
class DemoDepartment:
    """One department, with the e-mails of its people."""

    code: str
    name: str
    head: str
    members: tuple[str, ...]

    @property
    def people(self) -> tuple[str, ...]:
        return (self.head, *self.members)


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One person who can sign in to the demo."""

    email: str
    full_name: str
    is_operator: bool
    default_department: str


@dataclass(frozen=True, slots=True)
class DemoDocument:
    """One file of `files/` and how it is to be uploaded."""

    file: str
    title: str
    owner: str
    visibility: Visibility
    department: str
    people: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def path(self) -> Path:
        return FILES_DIR / self.file


@dataclass(frozen=True, slots=True)
class DemoManifest:
    """Everything the demo command loads."""

    departments: tuple[DemoDepartment, ...]
    people: tuple[DemoPerson, ...]
    documents: tuple[DemoDocument, ...]

    def may_read(self, *, email: str, document: DemoDocument) -> bool:
        """Say whether the person is the document's owner or in its audience."""
        if email == document.owner or document.visibility == Visibility.EVERYONE:
            return True
        if document.visibility == Visibility.DEPARTMENT:
            people = {entry.code: entry.people for entry in self.departments}
            return email in people[document.department]
        return email in document.people


@dataclass(frozen=True, slots=True)
class GoldQuestion:
    """A question with the reply it should get; `is_held_out` ones are never used for tuning."""

    text: str
    answerability: Answerability
    asker: str
    is_held_out: bool
    file: str = ""
    answer_sentence: str = ""
    answer_keywords: tuple[str, ...] = ()


def load_manifest() -> DemoManifest:
    """This function will read manifest.toml."""
    data = tomllib.loads((DEMO_DIR / "manifest.toml").read_text(encoding="utf-8"))
    return DemoManifest(
        departments=tuple(
            DemoDepartment(
                code=row["code"],
                name=row["name"],
                head=row["head"],
                members=tuple(row["members"]),
            )
            for row in data["departments"]
        ),
        people=tuple(
            DemoPerson(
                email=row["email"],
                full_name=row["full_name"],
                is_operator=row.get("is_operator", False),
                default_department=row["default_department"],
            )
            for row in data["people"]
        ),
        documents=tuple(_document(row) for row in data["documents"]),
    )


def load_questions() -> tuple[GoldQuestion, ...]:
    """This function will read questions.toml, in the order of the file."""
    data = tomllib.loads((DEMO_DIR / "questions.toml").read_text(encoding="utf-8"))
    return tuple(
        GoldQuestion(
            text=row["text"],
            answerability=kind,
            asker=row.get("asker", data["default_asker"]),
            is_held_out=row.get("held_out", False),
            file=row.get("file", ""),
            answer_sentence=row.get("answer", ""),
            answer_keywords=tuple(row.get("keywords", ())),
        )
        for kind in Answerability
        for row in data[kind.lower()]
    )


def _document(row: dict[str, Any]) -> DemoDocument:
    return DemoDocument(
        file=row["file"],
        title=row["title"],
        owner=row["owner"],
        visibility=Visibility(row["visibility"]),
        department=row["department"],
        people=tuple(row.get("people", ())),
        tags=tuple(row["tags"]),
    )
