"""PostgreSQL advisory locks of this app: one family for files in the store, one for texts being embedded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

_FILES = 4201
_TEXTS = 4202


def _key(digest: bytes) -> int:
    # 32 bits: two digests that share them wait for each other now and then, no more.
    return int.from_bytes(digest[:4], "big", signed=True)


def lock_file(sha256: str) -> None:
    """Hold the file's name in the store to the end of the transaction: nobody adds it while another removes it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [_FILES, _key(bytes.fromhex(sha256))]
        )


@contextmanager
def try_lock_texts(digests: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Hold those of the texts nobody else is embedding, without waiting and without a transaction."""
    keys = {digest: _key(digest) for digest in digests}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key FROM unnest(%s::int[]) AS key WHERE pg_try_advisory_lock(%s, key)",
            [sorted(set(keys.values())), _TEXTS],
        )
        held = {row[0] for row in cursor.fetchall()}
    try:
        yield [digest for digest, key in keys.items() if key in held]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_unlock(%s, key) FROM unnest(%s::int[]) AS key",
                [_TEXTS, sorted(held)],
            )
