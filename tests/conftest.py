"""What every test may ask for: the cast, the embedded models, and a whole running Parley.

The services themselves come from tests/services_plugin.py.
"""

import fcntl
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from project.supervisor.data_folder import REPOSITORY
from tests.llm_plugin import fake_provider as fake_provider
from tests.services_plugin import RUN_VARIABLE, needs_running_parley

if TYPE_CHECKING:
    from apps.accounts.models import Department, User
    from tests.chat.serving import Server

_LOOPBACK = ("127.", "::1", "localhost")
CHROMIUM = "/usr/bin/chromium"
# How long a page's next state is waited for; what never comes fails the test all the same.
EXPECT_MS = 60_000


@dataclass(frozen=True, slots=True)
class EmbeddedModels:
    """Where the model servers of this test run are, and their key."""

    chat_url: str
    embedding_url: str
    api_key: str


@dataclass(frozen=True, slots=True)
class RunningParley:
    """A whole Parley, started as a person would start it."""

    base_url: str
    var_folder: Path
    supervisor_pid: int
    log_file: Path

    @property
    def logins(self) -> str:
        """The demo logins as they were shown."""
        return (self.var_folder / "demo-logins.txt").read_text()


def pytest_configure() -> None:
    """Refuse every connection of the tests' own processes to other machines."""
    sys.addaudithook(_loopback_only)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests with a browser last: its fixtures leave an event loop in which no async test can begin.

    The first of them are those on the running Parley, one long block for one worker (services_plugin.py).
    """

    def rank(item: pytest.Item) -> int:
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            return 0
        if needs_running_parley(item.nodeid):
            return 1
        return 2 if {"page", "browser"} & {*getattr(item, "fixturenames", ())} else 0

    items.sort(key=rank)


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
    elif event == "socket.getaddrinfo":
        host = arguments[0] or "localhost"
    else:
        return
    if not str(host).startswith(_LOOPBACK):
        raise RuntimeError(f"a test wants to reach {host}; tests reach loopback only")


@pytest.fixture(scope="session")
def embedded_models() -> EmbeddedModels:
    """The real chat model and embedder, started once a run and shared by its workers."""
    run_folder = Path(json.loads(os.environ[RUN_VARIABLE])["folder"])
    facts = run_folder / "models.json"
    with (run_folder / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not facts.exists():
            # Not subprocess: the host outlives this worker when others still use the models.
            command = [sys.executable, "-m", "tests.models_host", str(run_folder)]
            host = os.posix_spawn(sys.executable, command, os.environ, setsid=True)
            while not facts.exists():
                if os.waitpid(host, os.WNOHANG) != (0, 0):
                    pytest.fail(f"the models ended: {(run_folder / 'models.log').read_text()}")
                time.sleep(0.02)
    return EmbeddedModels(**json.loads(facts.read_text()))


@pytest.fixture(scope="session")
def running_parley() -> Iterator[RunningParley]:
    """Parley with its demo data, by the real `manage.py up`, on a free port and a new folder."""
    var_folder = Path(tempfile.mkdtemp(prefix="parley-journeys-"))
    log_file = var_folder.with_suffix(".log")
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(REPOSITORY / "manage.py"), "up"],
            env={**outside_environment(), "PARLEY_VAR": str(var_folder), "PORT": str(free_port())},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        base_url = wait_for_address(process, log_file)
        yield RunningParley(base_url, var_folder, process.pid, log_file)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(var_folder)
        log_file.unlink()


def outside_environment() -> dict[str, str]:
    """Return the environment without what the test run has set for its own Django."""
    own = {"DATABASE_URL", "CACHE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in os.environ.items() if name not in own}


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_address(process: subprocess.Popen[bytes], log_file: Path) -> str:
    """Return the address that `up` prints when all is ready; fail when it ends instead."""
    while True:
        has_ended = process.poll() is not None
        for line in log_file.read_text(errors="replace").splitlines():
            if "Parley is ready: " in line:
                return line.rpartition(" ")[2]
        if has_ended:
            pytest.fail(f"`manage.py up` ended:\n{log_file.read_text(errors='replace')}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Iterator["Server"]:
    """A real server on the tests' database: one for each worker of the run, from its first use to the end.

    A test that kills its server, or needs other settings, starts one of its own by `serving`.
    """
    from tests.chat.serving import serving

    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def _patient_expectations() -> None:
    """Let `expect` wait on a loaded machine: its own five seconds are a time limit in disguise."""
    from playwright import async_api, sync_api

    for expect in (async_api.expect, sync_api.expect):
        expect.set_options(timeout=EXPECT_MS)


@pytest.fixture(scope="session")
def browser_type_launch_args(_patient_expectations: None) -> dict[str, Any]:
    """Debian's chromium, kept from calling home and from any machine but this one."""
    if not Path(CHROMIUM).exists():
        pytest.fail("browser tests need Debian's chromium: apt-get install chromium")
    return {
        "executable_path": CHROMIUM,
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ],
    }


@pytest.fixture(autouse=True)
def _steady_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the live parameters once a test, so that a second's end adds no query in the middle of a count."""
    from apps.tuning import live

    monkeypatch.setattr(live, "MAX_AGE_SECONDS", float("inf"))
    live.forget()


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Begin with nothing cached, in Valkey or in this process, and end what listened for changes."""
    yield
    from apps.caching import listener, remote, store
    from apps.caching.breaker import breaker

    if listener.listener.is_started:
        listener.listener.stop()
    if remote.client.cache_info().currsize:
        remote.client().flushall()
    breaker.renew()
    store.forget()


@pytest.fixture
def department(db: None) -> "Department":
    """The department of `owner` and `colleague`."""
    from tests.factories.accounts import DepartmentFactory

    return DepartmentFactory(code="support", name="Support")


@pytest.fixture
def owner(department: "Department") -> "User":
    """The person whose things the test is about."""
    return _person("owner", department=department)


@pytest.fixture
def colleague(department: "Department") -> "User":
    """A person of the same department."""
    return _person("colleague", department=department)


@pytest.fixture
def outsider(db: None) -> "User":
    """A person of another department, who must not see what is the owner's."""
    return _person("outsider")


@pytest.fixture
def admin_user(department: "Department") -> "User":
    """An operator."""
    return _person("operator", department=department, is_operator=True)


def _person(name: str, **fields: Any) -> "User":
    from tests.factories.accounts import UserFactory

    return UserFactory(email=f"{name}@example.org", full_name=name.capitalize(), **fields)
