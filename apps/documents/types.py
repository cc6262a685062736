"""Values that cross documents' border."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.accounts.models import Department, User


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage a person may read, found for a question; ranks count from 1, None where an arm missed it."""

    passage_id: int
    document_id: UUID
    version_id: UUID
    document_name: str
    page_number: int
    start_offset: int
    end_offset: int
    text: str
    score: float
    text_rank: int | None
    vector_rank: int | None
    similarity: float


@dataclass(frozen=True, slots=True)
class FoundSentence:
    """A sentence of a found passage with its cosine similarity to the question and its place in the version."""

    passage: FoundPassage
    text: str
    start_offset: int
    end_offset: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search gave, best first, and the question's unit vector."""

    passages: Sequence[FoundPassage]
    question_vector: NDArray[np.float32]
    cost_nanos: int


class Sharing(StrEnum):
    """Who a document is shared with, as the person chooses it."""

    ME = "ME"
    PEOPLE = "PEOPLE"
    DEPARTMENT = "DEPARTMENT"
    EVERYONE = "EVERYONE"


@dataclass(frozen=True, slots=True)
class Visibility:
    """A choice of readers: `department` for DEPARTMENT, `people` (the owner is added) for PEOPLE."""

    sharing: Sharing
    department: Department | None = None
    people: Sequence[User] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedText:
    """A text's unit vector, and what the model took for it."""

    vector: NDArray[np.float32]
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class Named:
    """Something to choose: a document, a department."""

    id: UUID
    name: str

    @property
    def pk(self) -> UUID:
        """Return the id, as forms ask for it."""
        return self.id


def named_to_json(all_named: Sequence[Named]) -> list[list[str]]:
    """Return named things as JSON holds them."""
    return [[str(one.id), one.name] for one in all_named]


def named_from_json(data: list[list[str]]) -> tuple[Named, ...]:
    """Return the value of `named_to_json`'s data."""
    return tuple(Named(UUID(pk), name) for pk, name in data)


@dataclass(frozen=True, slots=True)
class Choosable:
    """The documents a question can be limited to: how many there are, and the first by name."""

    count: int
    first: tuple[Named, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        return {"count": self.count, "first": named_to_json(self.first)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data."""
        return cls(data["count"], named_from_json(data["first"]))


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page's number, the offset it begins at in its version, and its text."""

    number: int
    start_offset: int
    text: str


@dataclass(frozen=True, slots=True)
class PageRows:
    """Some pages of a version in a row, and the numbers of the page before and the page after them."""

    pages: tuple[PageRow, ...]
    previous_page: int | None
    next_page: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        pages = [[page.number, page.start_offset, page.text] for page in self.pages]
        return {"pages": pages, "previous": self.previous_page, "next": self.next_page}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data."""
        pages = tuple(PageRow(*page) for page in data["pages"])
        return cls(pages, data["previous"], data["next"])
