"""Reading a file in a child process that has limits and no secrets, and bringing the text back."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, Literal

from apps.documents.parsing.types import Parsed, ParsedPage, Refusal, RefusedError

REPOSITORY: Final = Path(__file__).resolve().parents[2]
WALL_SECONDS: Final = {"probe": 10.0, "parse": 300.0}
BEAT_SECONDS: Final = 10.0


def extract(
    file: IO[bytes],
    kind: str,
    *,
    mode: Literal["probe", "parse"] = "parse",
    on_beat: Callable[[], None] = lambda: None,
) -> Parsed:
    """Return the text and metadata of a file; a probe only finds out whether there is any.

    Starts a process (some 0.1 s); `on_beat` is called every ten seconds while it works.

    Raises:
        RefusedError: with the reason.
    """
    content = file.read()
    with subprocess.Popen(  # noqa: S603 - our own module, and a kind of our own list
        [sys.executable, "-m", "apps.documents.parsing.child", mode, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        # Nothing of our environment: whoever takes over a parser finds no secret in it.
        env={"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
    ) as child:
        try:
            answer, errors = _communicate(child, content, WALL_SECONDS[mode], on_beat)
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        raise RefusedError(
            _reason_of_death(child.returncode), errors.decode(errors="replace")[-2000:]
        )
    return _understood(json.loads(answer))


def _communicate(
    child: subprocess.Popen[bytes], content: bytes, seconds: float, on_beat: Callable[[], None]
) -> tuple[bytes, bytes]:
    waited = 0.0
    to_send: bytes | None = content
    while True:
        try:
            return child.communicate(to_send, timeout=BEAT_SECONDS)
        except subprocess.TimeoutExpired:
            to_send = None  # communicate() remembers what it has yet to send.
            waited += BEAT_SECONDS
            if waited >= seconds:
                raise RefusedError(Refusal.TOO_SLOW) from None
            on_beat()


def _reason_of_death(return_code: int) -> Refusal:
    """Tell running out of time or memory from a parser that fell over its input."""
    reasons: dict[int, Refusal] = {
        signal.SIGXCPU: Refusal.TOO_SLOW,
        signal.SIGKILL: Refusal.TOO_SLOW,  # What follows SIGXCPU.
        signal.SIGABRT: Refusal.TOO_MUCH_TEXT,  # What parsers do when memory is refused.
    }
    return reasons.get(-return_code, Refusal.DAMAGED)


def _understood(answer: dict[str, Any]) -> Parsed:
    if "refusal" in answer:
        raise RefusedError(Refusal(answer["refusal"]), answer["detail"])
    return Parsed(
        [ParsedPage(number, text) for number, text in answer["pages"]], answer["metadata"]
    )
