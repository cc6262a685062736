"""PostgreSQL locks of this app: of files by name, and of documents against deletion."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

_FILES: Final = 4201


def lock_file(sha256: str) -> None:
    """Hold a file's name in the store to the transaction's end: nobody adds it while another removes it."""
    # 32 bits: two files that share them wait for each other now and then, no more.
    key = int.from_bytes(bytes.fromhex(sha256)[:4], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_FILES, key])


def hold_documents(document_ids: Sequence[str]) -> set[str]:
    """Return those of these documents that are there, kept from deletion until the transaction ends.

    Others may hold them too: a reply that cites a document must not find it gone when its citation is checked, at COMMIT.
    """
    if not document_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id::text FROM documents_document WHERE id = ANY (%s::uuid[]) ORDER BY id FOR KEY SHARE",
            [list(document_ids)],
        )
        return {document_id for (document_id,) in cursor.fetchall()}
