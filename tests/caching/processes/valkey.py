"""A cache Valkey of a test's own, to be hurt in every way a cache can be, and healed again with what it held."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from apps.caching import listener, remote
from apps.caching.breaker import breaker
from project.supervisor.data_folder import DataFolder
from project.supervisor.valkey import Valkey
from tests.caching.waiting import until


class OwnValkey:
    """The server, its process and a connection of ours that stays when others are cut off."""

    def __init__(self, server: Valkey, process: subprocess.Popen[bytes]) -> None:
        self.url = server.url
        self.process = process
        self._port = server.port
        until(server._is_ready)
        self._control: Redis = Redis.from_url(server.url, single_connection_client=True)

    def pause(self) -> None:
        """Let it accept connections, and never answer."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer, also to what came meanwhile."""
        os.kill(self.process.pid, signal.SIGCONT)

    def refuse(self) -> None:
        """Close every connection and refuse new ones; the data stays."""
        self._control.config_set("port", 0)
        self._control.client_kill_filter(skipme=True, _type="normal")

    def accept(self) -> None:
        """Take connections again."""
        self._control.config_set("port", self._port)

    def fill_up(self) -> None:
        """Leave it no memory for another byte, and nothing it may evict."""
        self._control.config_set("maxmemory-policy", "noeviction")
        self._control.config_set("maxmemory", 1)

    def make_room(self) -> None:
        """Give it memory again."""
        self._control.config_set("maxmemory", "64mb")
        self._control.config_set("maxmemory-policy", "allkeys-lru")

    def make_read_only(self) -> None:
        """Make it the replica of a server that is not there: it answers reads from what it holds."""
        self._control.execute_command("REPLICAOF", "127.0.0.1", "1")

    def make_writable(self) -> None:
        """Make it its own master again."""
        self._control.execute_command("REPLICAOF", "NO", "ONE")

    def calls(self, command: str) -> int:
        """Return how often a command was called."""
        stats = self._control.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))


# What hurts it, and what heals it.
INJURIES: dict[str, tuple[Callable[[OwnValkey], None], Callable[[OwnValkey], None]]] = {
    "refuses connections": (OwnValkey.refuse, OwnValkey.accept),
    "never answers": (OwnValkey.pause, OwnValkey.resume),
    "out of memory": (OwnValkey.fill_up, OwnValkey.make_room),
    "read-only": (OwnValkey.make_read_only, OwnValkey.make_writable),
}


@contextmanager
def running() -> Iterator[OwnValkey]:
    """Run a Valkey of our own."""
    with tempfile.TemporaryDirectory(prefix="parley-valkey-") as path:
        folder = DataFolder(Path(path))
        folder.create()
        server = Valkey("cache", folder, folder.allocate_ports(("cache",))["cache"])
        program = server.program()
        process = subprocess.Popen(program.argv, cwd=program.folder)
        try:
            yield OwnValkey(server, process)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def valkey(settings: Any) -> Iterator[OwnValkey]:
    """A Valkey of our own as the process's cache."""
    with running() as server:
        _use(server.url, settings)
        yield server
        listener.listener.stop()
    _use(os.environ["CACHE_URL"], settings)
    breaker.renew()


def _use(url: str, settings: Any) -> None:
    if listener.listener.is_started:
        listener.listener.stop()
    remote.drop_connections()
    settings.CACHE_URL = url
    # As shipped; other tests wait longer, for a machine under load.
    settings.CACHE_TIMEOUT_SECONDS = 0.05
    remote.client.cache_clear()
