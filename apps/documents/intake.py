"""What arrives: the name made harmless, the bytes measured and hashed, the cheap reasons for a refusal found."""

import hashlib
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

from django.core.files import File

from apps.documents.extraction import extract
from apps.documents.parsing.archive import check_directory
from apps.documents.parsing.kinds import HEAD_BYTES, Kind, kind_of
from apps.documents.parsing.types import Refusal, RefusedError
from apps.tuning import live

MAX_NAME_CHARACTERS: Final = 255
_IN_MEMORY_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that may come in: its bytes stand in `file` while the context is open."""

    name: str
    kind: Kind
    size_bytes: int
    sha256: str
    file: IO[bytes]


def clean_name(name: str) -> str:
    """Return the last part of a name, whatever folders it pretends to come from.

    Raises:
        RefusedError: BAD_NAME, where nothing is left or characters are hidden in it (control, direction).
    """
    base = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1].strip())
    hidden = any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in base
    )
    if hidden or not base.strip(". ") or len(base) > MAX_NAME_CHARACTERS:
        raise RefusedError(Refusal.BAD_NAME)
    return base


@contextmanager
def receive(file: File[bytes], name: str) -> Iterator[Arrival]:
    """Take in a file and check it, leaving no trace if it is refused.

    Raises:
        RefusedError: with the reason. What only a full reading shows (a text that starts late) is left to the run.
    """
    name = clean_name(name)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
        size_bytes, sha256 = _copied(file, copy, live.integer("documents.upload_max_bytes"))
        copy.seek(0)
        kind = kind_of(name, copy.read(HEAD_BYTES))
        if kind.family == "office":
            check_directory(copy, kind=kind, size_bytes=size_bytes)
        _probe(copy, kind)
        yield Arrival(name=name, kind=kind, size_bytes=size_bytes, sha256=sha256, file=copy)


def _copied(file: File[bytes], copy: IO[bytes], limit_bytes: int) -> tuple[int, str]:
    size_bytes, digest = 0, hashlib.sha256()
    for chunk in file.chunks():
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise RefusedError(Refusal.TOO_LARGE)
        digest.update(chunk)
        copy.write(chunk)
    return size_bytes, digest.hexdigest()


def _probe(copy: IO[bytes], kind: Kind) -> None:
    copy.seek(0)
    try:
        extract(copy, kind.code, mode="probe")
    except RefusedError as refused:
        # Too slow for a look is not too slow for the run, which has all the time it needs.
        if refused.code is not Refusal.TOO_SLOW:
            raise
