"""The embedded model servers as programs: the chat model and the embedder."""

import http.client
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from project.supervisor.data_folder import DataFolder
from project.supervisor.program import Program

# An ingestion's embedding steps back from an answer that somebody watches.
_NICENESS = {"chat": 0, "embedder": 5}
# Its threads wait for each other asleep, not spinning. Beside one busy process on 2 cores that makes
# 27 to 40 tokens a second where spinning made 1 to 2 (2026-11-22; alone: 72 spinning).
_WAITING = {"OMP_WAIT_POLICY": "passive"}
_MODULES = {"chat": "apps.llm.embedded.chat_server", "embedder": "apps.llm.embedded.embedder"}


@dataclass(frozen=True, slots=True)
class ModelServer:
    """One embedded model server: `kind` is "chat" or "embedder"."""

    kind: str
    folder: DataFolder
    port: int

    @property
    def url(self) -> str:
        """The base URL of its OpenAI-compatible endpoints."""
        return f"http://127.0.0.1:{self.port}/v1"

    def program(self) -> Program:
        """Return the program."""
        options = {
            "--port": str(self.port),
            "--key-file": str(self.folder.secret_file("embedded_api_key")),
            # All cores of a small machine; more than four gain a model of this size nothing.
            "--threads": str(min(os.cpu_count() or 1, 4)),
        }
        return Program(
            name=self.kind,
            argv=[
                *(sys.executable, "-m", _MODULES[self.kind]),
                *(part for option in options.items() for part in option),
            ],
            environment={**os.environ, **_WAITING},
            is_ready=http_readiness(self.port, "/health"),
            niceness=_NICENESS[self.kind],
        )


def http_readiness(port: int, path: str) -> Callable[[], bool]:
    """Return a check that passes when `path` is answered with 200."""

    def is_ready() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return is_ready
