"""PostgreSQL advisory locks of this app."""

from typing import Final

from django.db import connection

_FILES: Final = 4201


def lock_file(sha256: str) -> None:
    """Hold a file's name in the store to the transaction's end: nobody adds it while another removes it."""
    # 32 bits: two files that share them wait for each other now and then, no more.
    key = int.from_bytes(bytes.fromhex(sha256)[:4], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_FILES, key])
