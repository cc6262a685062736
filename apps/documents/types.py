"""Values that cross documents' border."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
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
