"""What the supervisor shows: lines of children and its own, each with a name in front."""

import os
import sys
from typing import TextIO

NAME_WIDTH = 10
_OWN_NAME = "parley"
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Console:
    """Writes whole lines to a stream, coloured when that is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._has_colours = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {}
        self._pending: dict[str, bytes] = {}

    def say(self, text: str) -> None:
        """Write the supervisor's own line or lines."""
        for line in text.splitlines():
            self._write(_OWN_NAME, line)

    def feed(self, name: str, output: bytes) -> None:
        """Take a piece of a child's output; write the lines that are whole."""
        *lines, rest = (self._pending.pop(name, b"") + output).split(b"\n")
        for line in lines:
            self._write(name, line.decode(errors="replace").rstrip("\r"))
        if rest:
            self._pending[name] = rest

    def flush(self, name: str) -> None:
        """Write a child's last line even when it has no end."""
        if rest := self._pending.pop(name, b""):
            self._write(name, rest.decode(errors="replace"))

    def _write(self, name: str, line: str) -> None:
        prefix = f"{name:<{NAME_WIDTH}}|"
        if self._has_colours:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            prefix = f"\033[{colour}m{prefix}\033[0m"
        self._stream.write(f"{prefix} {line}\n")
        self._stream.flush()
