"""Office files are ZIP archives: checked here before any parser sees them."""

import zipfile
import zlib
from typing import IO, Final

from apps.documents.parsing.kinds import MAIN_PARTS, Kind
from apps.documents.parsing.types import Refusal, RefusedError

MAX_ENTRIES: Final = 10_000
MAX_UNPACKED_BYTES: Final = 400 * 1024 * 1024
# XML of spreadsheets reaches 1:40 in earnest; a bomb starts at 1:1000. Small files may do as they like.
MAX_RATIO: Final = 150
RATIO_FREE_BYTES: Final = 20 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_ENCRYPTED_FLAG = 0x1


def check_directory(file: IO[bytes], *, kind: Kind, size_bytes: int) -> None:
    """Check an archive by its directory alone: cheap, whatever it claims to hold.

    Raises:
        RefusedError: DAMAGED, ENCRYPTED, WRONG_TYPE (another archive, or another office format), or BOMB.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise RefusedError(Refusal.DAMAGED, str(error)) from error
    unpacked = sum(entry.file_size for entry in entries)
    allowed = min(MAX_UNPACKED_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * size_bytes))
    if len(entries) > MAX_ENTRIES or unpacked > allowed:
        raise RefusedError(Refusal.BOMB, f"{len(entries)} entries, {unpacked} bytes")
    if any(entry.flag_bits & _ENCRYPTED_FLAG for entry in entries):
        raise RefusedError(Refusal.ENCRYPTED)
    names = {entry.filename for entry in entries}
    if len(names) != len(entries):
        raise RefusedError(Refusal.DAMAGED, "an entry is named twice")
    if MAIN_PARTS[kind.code] not in names:
        raise RefusedError(Refusal.WRONG_TYPE)


def check_contents(file: IO[bytes]) -> None:
    """Unpack every entry, keeping nothing: a directory can lie about sizes, and the parser would believe it.

    Raises:
        RefusedError: DAMAGED, or BOMB where an entry unpacks to more than the directory says.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                _check_entry(archive, file, entry)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        OSError,
        NotImplementedError,
    ) as error:
        raise RefusedError(Refusal.DAMAGED, str(error)) from error


def _check_entry(archive: zipfile.ZipFile, file: IO[bytes], entry: zipfile.ZipInfo) -> None:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RefusedError(Refusal.DAMAGED, f"packing method {entry.compress_type}")
    with archive.open(
        entry
    ) as unpacked:  # Checks the local header and, read to its end, the checksum.
        data_start = file.tell()
        while unpacked.read(_CHUNK_BYTES):
            pass
    if entry.compress_type == zipfile.ZIP_STORED:
        return
    # zipfile stops at the size the directory gives, other readers don't: look for more behind it.
    file.seek(data_start)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    left, produced = entry.compress_size, 0
    while left > 0 and not inflate.eof:
        piece = file.read(min(left, _CHUNK_BYTES))
        if not piece:
            raise RefusedError(Refusal.DAMAGED, "cut off")
        left -= len(piece)
        while piece and not inflate.eof:
            produced += len(inflate.decompress(piece, _CHUNK_BYTES))
            piece = inflate.unconsumed_tail
            if produced > entry.file_size:
                raise RefusedError(Refusal.BOMB, f"{entry.filename} unpacks to more than it says")
