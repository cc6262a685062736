"""The data folder: its secrets, its remembered ports and its one-instance lock. It starts nothing."""

import base64
import fcntl
import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
# Who runs PostgreSQL when the supervisor is root: PostgreSQL refuses to be root.
UNPRIVILEGED_ID = 65534

_SECRETS: Mapping[str, Callable[[], str]] = {
    "secret_key": lambda: secrets.token_urlsafe(50),
    # What cryptography's Fernet.generate_key() makes, without importing it.
    "field_encryption_keys": lambda: base64.urlsafe_b64encode(os.urandom(32)).decode(),
    "database_password": lambda: secrets.token_hex(32),
    "cache_password": lambda: secrets.token_hex(32),
    "state_password": lambda: secrets.token_hex(32),
    "embedded_api_key": lambda: secrets.token_urlsafe(32),
}


class FolderInUseError(Exception):
    """Another process runs on this data folder; `holder` is what it said of itself."""

    def __init__(self, folder: Path, holder: Mapping[str, Any]) -> None:
        what = holder.get("what", "another process")
        address = f" at {holder['address']}" if holder.get("address") else ""
        super().__init__(
            f"Parley already runs on the data folder {folder}: {what}, process "
            f"{holder.get('pid', 'unknown')}{address}. Stop that one first, or choose another "
            f"data folder with PARLEY_VAR=."
        )
        self.holder = holder


@dataclass(frozen=True, slots=True)
class DataFolder:
    """One installation's data folder, private to its user."""

    path: Path

    @classmethod
    def from_environment(cls) -> Self:
        """Return the folder that PARLEY_VAR names, or `var` in the repository."""
        return cls(Path(os.environ.get("PARLEY_VAR") or REPOSITORY / "var").resolve())

    def create(self) -> None:
        """Make the folder, closed to other users.

        Root opens it for passing through (not for listing) to the unprivileged user that runs
        PostgreSQL, whose files are in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.path, -1, UNPRIVILEGED_ID)
            self.path.chmod(0o710)
        else:
            self.path.chmod(0o700)

    def subfolder(self, name: str) -> Path:
        """Return a private folder in it, made when missing."""
        folder = self.path / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def secret_file(self, name: str) -> Path:
        """Return the file that holds the secret, generating it the first time."""
        file = self.subfolder("secrets") / name
        if not file.exists():
            write_private(file, new_secret(name))
        return file

    def secret(self, name: str) -> str:
        """Return the secret, generating it the first time."""
        return self.secret_file(name).read_text().strip()

    def ports(self) -> dict[str, int]:
        """Return the remembered ports of the embedded parts by name."""
        file = self.path / "ports.json"
        if not file.exists():
            return {}
        ports: dict[str, int] = json.loads(file.read_text())
        return ports

    def allocate_ports(self, names: tuple[str, ...]) -> dict[str, int]:
        """Return a free loopback port for each name: the remembered one where it is free."""
        remembered = self.ports()
        chosen: dict[str, int] = {}
        held: list[socket.socket] = []
        try:
            for name in names:
                # Held until all are chosen, so that no two get the same.
                listener = _bind(remembered.get(name, 0)) or socket.create_server(("127.0.0.1", 0))
                held.append(listener)
                chosen[name] = listener.getsockname()[1]
        finally:
            for listener in held:
                listener.close()
        write_private(self.path / "ports.json", json.dumps(remembered | chosen))
        return chosen


class InstanceLock:
    """The lock that one process holds on a data folder; it goes with the process."""

    def __init__(self, folder: DataFolder, **facts: object) -> None:
        """Take the lock and write `facts` about the holder into it.

        Raises: FolderInUseError when another process holds it.
        """
        self._path = folder.path / "lock"
        self._facts = facts
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise FolderInUseError(folder.path, _holder(self._path)) from None
        self.publish(is_ready=False)

    def publish(self, **facts: object) -> None:
        """Write more facts about the holder."""
        self._facts |= {"pid": os.getpid(), **facts}
        content = json.dumps(self._facts).encode()
        os.pwrite(self._file, content, 0)
        os.ftruncate(self._file, len(content))

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._file)


def new_secret(name: str) -> str:
    """Return a fresh value for the secret of this name."""
    return _SECRETS[name]()


def write_private(file: Path, content: str) -> None:
    """Write a file that only its user can read, whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(file)


def can_bind(port: int) -> bool:
    """Return whether the loopback port is free."""
    listener = _bind(port)
    if listener is None:
        return False
    listener.close()
    return True


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As the servers do it: a port in TIME_WAIT is free, one that is listened on is not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
    except OSError:
        listener.close()
        return None
    return listener


def _holder(file: Path) -> Mapping[str, Any]:
    try:
        holder = json.loads(file.read_text())
    except ValueError:
        # Read between the holder's open and its write: it is there, and tells nothing yet.
        return {}
    return holder if isinstance(holder, dict) else {}
