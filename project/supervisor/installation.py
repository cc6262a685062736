"""One installation: which parts are embedded, and the environment that the settings read."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from project.supervisor.data_folder import DataFolder, new_secret
from project.supervisor.models import ModelServer
from project.supervisor.postgres import Postgres
from project.supervisor.program import Program
from project.supervisor.valkey import Valkey

SETTINGS_MODULE = "project.settings.prod"
DEFAULT_PORT = 8000
# The variable that names an outside server, and the embedded part that it replaces.
_REPLACED_BY = {"DATABASE_URL": "postgres", "CACHE_URL": "cache", "REDIS_URL": "state"}
_MODEL_PARTS = ("chat", "embedder")


@dataclass(frozen=True, slots=True)
class Installation:
    """The data folder, the embedded storage parts in use, and the ports they have."""

    folder: DataFolder
    ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def with_free_ports(cls, folder: DataFolder) -> Self:
        """Return the installation about to be started, each part on a port that is free."""
        return cls(folder, folder.allocate_ports((*embedded_storage(), *_MODEL_PARTS)))

    @classmethod
    def running(cls, folder: DataFolder) -> Self:
        """Return the installation that another process runs on the folder."""
        return cls(folder, folder.ports())

    @property
    def chat(self) -> ModelServer:
        """The chat model's server."""
        return ModelServer("chat", self.folder, self.ports["chat"])

    @property
    def embedder(self) -> ModelServer:
        """The embedding model's server."""
        return ModelServer("embedder", self.folder, self.ports["embedder"])

    def storage_programs(self) -> list[Program]:
        """Return the programs of the embedded database and Valkeys that are in use."""
        return [self._storage(name).program() for name in embedded_storage()]

    def model_programs(self) -> list[Program]:
        """Return the programs of the model servers."""
        return [self.chat.program(), self.embedder.program()]

    def environment(self) -> dict[str, str]:
        """Return what the settings need and the present environment lacks."""
        makers: dict[str, Callable[[], str]] = {
            "DJANGO_SETTINGS_MODULE": lambda: SETTINGS_MODULE,
            "PARLEY_VAR": lambda: str(self.folder.path),
            "SECRET_KEY": lambda: self.folder.secret("secret_key"),
            "FIELD_ENCRYPTION_KEYS": lambda: self.folder.secret("field_encryption_keys"),
            "EMBEDDED_API_KEY": lambda: self.folder.secret("embedded_api_key"),
            "DATABASE_URL": lambda: self._storage("postgres").url,
            "CACHE_URL": lambda: self._storage("cache").url,
            "REDIS_URL": lambda: self._storage("state").url,
            # Loopback without TLS; a deployment has its own start and never sets it.
            "PLAIN_HTTP": lambda: "1",
            "PARLEY_BASE_URL": lambda: f"http://127.0.0.1:{os.environ.get('PORT') or DEFAULT_PORT}",
        }
        return {name: make() for name, make in makers.items() if not _is_given(name)}

    def _storage(self, name: str) -> Postgres | Valkey:
        if name == "postgres":
            return Postgres(self.folder, self.ports[name])
        return Valkey(name, self.folder, self.ports[name])


def embedded_storage() -> tuple[str, ...]:
    """Return the storage parts that no environment variable replaces by an outside server."""
    return tuple(part for name, part in _REPLACED_BY.items() if not _is_given(name))


def placeholder_environment() -> dict[str, str]:
    """Return an environment for commands that read the settings but call no server.

    Nothing is written, and port 1 of loopback refuses whoever calls it all the same.
    """
    values = {
        "DJANGO_SETTINGS_MODULE": SETTINGS_MODULE,
        "SECRET_KEY": new_secret("secret_key"),
        "FIELD_ENCRYPTION_KEYS": new_secret("field_encryption_keys"),
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "DATABASE_POOL_TIMEOUT": "0.1",
        "CACHE_URL": "redis://127.0.0.1:1/0",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    return {name: value for name, value in values.items() if not _is_given(name)}


def _is_given(name: str) -> bool:
    # The settings also read NAME_FILE, a file holding the value.
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def demo_is_wanted() -> bool:
    """Return whether the first start fills the installation with demo data."""
    return os.environ.get("DEMO", "1") != "0"


def announcement_file(folder: DataFolder) -> Path:
    """Return the file in which the preparation leaves what the supervisor shows when ready."""
    return folder.subfolder("run") / "announcement.txt"
