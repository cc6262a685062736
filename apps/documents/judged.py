"""Judged collections on disk: documents, questions, and which document answers which question how well."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Cranfield's grades: 1 is a complete answer, 4 of minimum interest; rows below 1 don't count (its readme).
CRANFIELD_WORST_GRADE = 4


class UnreadableCollectionError(Exception):
    """The folder holds no judged collection."""


@dataclass(frozen=True, slots=True)
class JudgedCollection:
    """Texts by id, and for each question the gain (above 0) of each document that answers it."""

    name: str
    documents: dict[str, str]
    questions: dict[str, str]
    gains: dict[str, dict[str, int]]


def read_collection(folder: Path) -> JudgedCollection:
    """Return the collection in a folder: Cranfield's three files, or {documents,questions,judgements}.jsonl.

    The lines of the latter are {"id", "text"}, {"id", "text"} and {"question", "document", "gain"}.

    Raises:
        UnreadableCollectionError: neither is there.
    """
    if (folder / "cran.all.1400").is_file():
        return _cranfield(folder)
    if (folder / "judgements.jsonl").is_file():
        return _json_lines(folder)
    raise UnreadableCollectionError(
        f"{folder} has neither cran.all.1400, cran.qry and cranqrel, nor documents.jsonl, questions.jsonl "
        "and judgements.jsonl"
    )


def _cranfield(folder: Path) -> JudgedCollection:
    documents = {
        number: _unwrapped(fields.get("T", "")) + "\n\n" + _unwrapped(fields.get("W", ""))
        for number, fields in _cranfield_records(folder / "cran.all.1400")
    }
    # The judgements count the questions from 1, whatever their numbers.
    questions = {
        str(position): _unwrapped(fields["W"])
        for position, (_number, fields) in enumerate(_cranfield_records(folder / "cran.qry"), 1)
    }
    gains: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "cranqrel").read_text().splitlines():
        if line.strip():
            question, document, grade = line.split()
            if int(grade) >= 1:
                gains[question][document] = CRANFIELD_WORST_GRADE + 1 - int(grade)
    return JudgedCollection("cranfield", documents, questions, dict(gains))


def _cranfield_records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    number, field, fields = "", "", dict[str, str]()
    for line in path.read_text().splitlines():
        if line.startswith(".I "):
            if number:
                yield number, fields
            number, field, fields = str(int(line[3:])), "", {}
        elif line.rstrip() in {".T", ".A", ".B", ".W"}:
            field = line[1]
        elif field:
            fields[field] = fields.get(field, "") + line + "\n"
    if number:
        yield number, fields


def _unwrapped(text: str) -> str:
    # The files break lines at a width; a passage's splitter takes a line's end for a sentence's.
    return " ".join(text.split())


def _json_lines(folder: Path) -> JudgedCollection:
    gains: dict[str, dict[str, int]] = defaultdict(dict)
    for row in _rows(folder / "judgements.jsonl"):
        if int(row["gain"]) > 0:
            gains[str(row["question"])][str(row["document"])] = int(row["gain"])
    return JudgedCollection(
        folder.name,
        {str(row["id"]): str(row["text"]) for row in _rows(folder / "documents.jsonl")},
        {str(row["id"]): str(row["text"]) for row in _rows(folder / "questions.jsonl")},
        dict(gains),
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        if line.strip():
            yield json.loads(line)
