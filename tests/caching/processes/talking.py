"""How a test talks with its helper programs: a JSON line in, a JSON line out."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import connection

Handler = Callable[..., Any]


class Helper:
    """A helper program as a process of its own, in the test's database and the cache named in the settings."""

    def __init__(
        self, program: str, *arguments: str, package: str = "tests.caching.processes"
    ) -> None:
        database = connection.settings_dict
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format_map(database)
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{package}.{program}", *arguments],
            env=os.environ | {"DATABASE_URL": url, "CACHE_URL": settings.CACHE_URL},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Helper":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with suppress(BrokenPipeError):
                    stream.close()

    def tell(self, do: str, **arguments: Any) -> None:
        """Send a command, without waiting for its answer."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """Return the next answer."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the helper has ended: {self.process.wait()}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def ask(self, do: str, **arguments: Any) -> Any:
        """Send a command and return its answer."""
        self.tell(do, **arguments)
        return self.hear()


def serve(handlers: dict[str, Handler]) -> None:
    """Answer commands until the test hangs up."""
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"answer": handlers[command.pop("do")](**command)}
        except Exception:  # noqa: BLE001 - the test is told
            answer = {"error": traceback.format_exc()}
        _write(answer)


def tell(answer: Any) -> None:
    """Answer before the command has ended."""
    _write({"answer": answer})


def _write(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
