"""The child process that reads one untrusted file: bytes in, JSON out, within limits of memory and time.

Run as `python -m apps.documents.parsing.child (probe|parse) KIND`, the file on standard input.
"""

import importlib
import json
import resource
import sys
from typing import Final

from apps.documents.parsing.kinds import KINDS
from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError

MEMORY_BYTES: Final = 2 * 1024**3
CPU_SECONDS: Final = {"probe": 5, "parse": 180}
MAX_CHARACTERS: Final = 20_000_000


def limit(mode: str) -> None:
    """Take from this process what a reader of files does not need."""
    seconds = CPU_SECONDS[mode]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(mode: str, code: str, content: bytes) -> Parsed:
    """Parse the content, or look just far enough to know that it can be parsed.

    Raises:
        RefusedError: with the reason.
    """
    family = next(kind.family for kind in KINDS if kind.code == code)
    parser = importlib.import_module(f"apps.documents.parsing.{family}")
    if mode == "probe" and family == "pdf":
        if not parser.probe(content):
            raise RefusedError(Refusal.NO_TEXT)
        return Parsed([])
    parsed: Parsed = parser.parse(content, code)
    pages = [ParsedPage(page.number, page.text) for page in parsed.pages if page.text.strip()]
    if not pages:
        raise RefusedError(Refusal.NO_TEXT)
    if sum(len(page.text) for page in pages) > MAX_CHARACTERS:
        raise RefusedError(Refusal.TOO_MUCH_TEXT)
    return Parsed([] if mode == "probe" else pages, parsed.metadata)


def main() -> int:
    """Read standard input, write one JSON object."""
    mode, code = sys.argv[1:]
    content = sys.stdin.buffer.read()
    limit(mode)
    try:
        parsed = read(mode, code, content)
        answer = {
            "pages": [(page.number, page.text) for page in parsed.pages],
            "metadata": parsed.metadata,
        }
    except RefusedError as refused:
        answer = {"refusal": refused.code.value, "detail": refused.detail}
    except MemoryError:
        answer = {"refusal": Refusal.TOO_MUCH_TEXT.value, "detail": "memory"}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
