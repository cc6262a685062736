"""The services of a test run: one PostgreSQL, two Valkeys for each worker; gone with the run.

A plugin (`-p tests.services_plugin`), because the settings read the URLs before any conftest.
"""

import atexit
import functools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from project.supervisor.console import Console
from project.supervisor.data_folder import REPOSITORY, DataFolder
from project.supervisor.orphans import identity
from project.supervisor.postgres import Postgres
from project.supervisor.supervisor import Supervisor
from project.supervisor.valkey import Valkey

RUN_VARIABLE = "PARLEY_TEST_RUN"


class TestRun:
    """The running services; they belong to the process that starts the workers."""

    __test__ = False

    def __init__(self, *, worker_count: int) -> None:
        folder = DataFolder(Path(tempfile.mkdtemp(prefix="parley-tests-")))
        folder.create()
        self._path = folder.path
        # Open as long as this process lives, however it ends: the models' host waits for its end.
        os.mkfifo(folder.path / "alive")
        self._alive = os.open(folder.path / "alive", os.O_RDWR)
        self._log_file = (folder.path / "services.log").open("wb")
        self._supervisor = Supervisor(folder, Console(sys.stderr), log_file=self._log_file)
        atexit.register(self.stop)

        ports = folder.allocate_ports(
            (
                "postgres",
                *(f"{kind}{n}" for kind in ("cache", "state") for n in range(worker_count)),
            )
        )
        postgres = Postgres(folder, ports["postgres"], keeps_data=False)
        workers = []
        for number in range(worker_count):
            own = DataFolder(folder.path / f"worker{number}")
            own.create()
            workers.append(
                [Valkey(kind, own, ports[f"{kind}{number}"]) for kind in ("cache", "state")]
            )
        valkeys = [valkey for pair in workers for valkey in pair]
        self._supervisor.start(
            [postgres.program(), *(valkey.program() for valkey in valkeys)], stop_seconds=5
        )
        os.environ[RUN_VARIABLE] = json.dumps(
            {
                "folder": str(folder.path),
                "database_url": postgres.url,
                "valkey_urls": [[cache.url, state.url] for cache, state in workers],
            }
        )

    def stop(self) -> None:
        """Stop everything and remove the folder; a second call does nothing."""
        if not self._path.exists():
            return
        os.close(self._alive)
        self._supervisor.stop()
        self._log_file.close()
        host = self._path / "models-host"
        while host.exists() and identity(int(host.read_text())):
            time.sleep(0.02)
        shutil.rmtree(self._path)


_runs: list[TestRun] = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Bring the services up, and name them in the environment before the settings are read."""
    options = early_config.known_args_namespace
    if not (getattr(options, "help", False) or getattr(options, "version", False)):
        if RUN_VARIABLE not in os.environ:
            _runs.append(
                TestRun(worker_count=_worker_count(getattr(options, "numprocesses", None)))
            )
        _name_services()
    return (yield)


@functools.cache
def _mentions_running_parley(file: str) -> bool:
    return "running_parley" in (REPOSITORY / file).read_text(encoding="utf-8")


@functools.cache
def _fills_tables(file: str) -> bool:
    return 'scope="module", params=' in (REPOSITORY / file).read_text(encoding="utf-8")


def needs_running_parley(nodeid: str) -> bool:
    """Say whether a test's file uses the running Parley, of which one a test run is enough."""
    return _mentions_running_parley(nodeid.partition("::")[0])


class _Scheduling(LoadScopeScheduling):
    """Deals out single tests in their order, but those that share what is dear to make to one worker: the running
    Parley, or a module's rows by the hundred thousand.

    pytest-xdist's own groups (3.8) have no effect with pytest 9.2, which took away the attribute they write to.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if needs_running_parley(nodeid):
            return "running Parley"
        if _fills_tables(file):
            return f"{file}[{test.partition('[')[2]}"
        return nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Make the scheduler above; it keeps the order of the collection."""
    config.option.loadscopereorder = False
    return _Scheduling(config, log)


def pytest_unconfigure() -> None:
    """Stop what this process started; the workers have ended by now."""
    for run in _runs:
        run.stop()


def _worker_count(chosen: int | str | None) -> int:
    return chosen if isinstance(chosen, int) and chosen else os.cpu_count() or 1 if chosen else 1


def _name_services() -> None:
    run = json.loads(os.environ[RUN_VARIABLE])
    # "gw0", "gw1" …; a worker that replaces a crashed one takes a later number.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    cache_url, state_url = run["valkey_urls"][number % len(run["valkey_urls"])]
    os.environ |= {
        "DATABASE_URL": run["database_url"],
        "CACHE_URL": cache_url,
        "REDIS_URL": state_url,
        "CELERY_BROKER_URL": state_url,
    }
