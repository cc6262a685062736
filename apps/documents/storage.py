"""Originals in `STORAGES["documents"]`, named by their SHA-256: equal files are kept once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import IO, Final

from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import transaction

from apps.documents.locks import lock_file
from apps.documents.models import Document

SHA256_CHARACTERS: Final = 64
PIECE_BYTES: Final = 256 * 1024


def store() -> Storage:
    """Return where originals are kept."""
    return storages["documents"]


def name_of(sha256: str) -> str:
    """Return a file's name in the store; the first folder keeps folders small."""
    return f"{sha256[:2]}/{sha256}"


def put(file: IO[bytes], sha256: str) -> None:
    """Store a file under its name unless it is there.

    Done before the transaction that adds its document, which then makes sure of it and does not wait for the copy.
    """
    name = name_of(sha256)
    if store().exists(name):
        return
    file.seek(0)
    written = store().save(name, File(file))
    if written != name:
        # Another upload of the same bytes was quicker: the store gave our copy a name of its own.
        store().delete(written)


def make_sure(file: IO[bytes], sha256: str, *, size_bytes: int) -> None:
    """Have the whole file in the store; inside the transaction that adds its document, under its lock.

    What has another size is half a copy: somebody is still writing it, or died at it.
    """
    name = name_of(sha256)
    if store().exists(name) and store().size(name) != size_bytes:
        store().delete(name)
    put(file, sha256)


def open_original(sha256: str) -> File[bytes]:
    """Return the original, open for reading.

    Raises:
        FileNotFoundError: it is not in the store.
    """
    return store().open(name_of(sha256), "rb")


async def pieces(file: File[bytes]) -> AsyncIterator[bytes]:
    """Yield a file's bytes, read on a thread; closes the file at the end, also when the reader leaves."""
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece


def remove_unused(sha256: str) -> bool:
    """Remove a file no document names; say whether it went."""
    with transaction.atomic():
        lock_file(sha256)
        if Document.objects.filter(sha256=sha256).exists() or not store().exists(name_of(sha256)):
            return False
        store().delete(name_of(sha256))
        return True


def sweep(*, older_than: datetime) -> int:
    """Remove files no document names, left by a process that died between file and row; return how many."""
    return sum(
        remove_unused(sha256)
        for sha256 in _names()
        if store().get_modified_time(name_of(sha256)) < older_than
    )


def _names() -> Iterator[str]:
    if not store().exists(""):
        return
    for folder in store().listdir("")[0]:
        for name in store().listdir(folder)[1]:
            if len(name) == SHA256_CHARACTERS and name_of(name) == f"{folder}/{name}":
                yield name
