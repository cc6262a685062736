"""The supervisor with real servers as children, as a process of its own that gets real signals."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from project.supervisor.data_folder import UNPRIVILEGED_ID, DataFolder, InstanceLock
from tests.conftest import free_port, outside_environment
from tests.project.processes import MANAGE, descendants, living, recorded_child

SCRIPT = Path(__file__).with_name("supervised.py")


class Supervised:
    """A running supervisor of the test, and what can be seen of it."""

    def __init__(self, folder: Path, *, as_user: int | None = None) -> None:
        self.folder = folder
        self.log_file = folder.with_suffix(".log")
        with self.log_file.open("ab") as log:
            self._seen_bytes = log.tell()
            self.process = subprocess.Popen(
                [*_as_user(as_user), sys.executable, str(SCRIPT), str(folder)],
                env=outside_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_for(lambda: "all is ready" in self.log)

    @property
    def log(self) -> str:
        """What it has written since it was started."""
        return self.log_file.read_bytes()[self._seen_bytes :].decode()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; fail when the supervisor ends before."""
        while not condition():
            assert self.process.poll() is None, self.log
            time.sleep(0.02)

    def child(self, name: str) -> int | None:
        """Return the process id of a child, or None between its death and its next start."""
        return recorded_child(self.folder, name)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code when it has."""
        self.process.terminate()
        return self.process.wait()


def _as_user(user_id: int | None) -> list[str]:
    if user_id is None:
        return []
    # Reading everything stands for an interpreter below /root; writing stays refused.
    capability = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={user_id}", f"--regid={user_id}", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
    ]


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="parley-supervisor-")) / "var"
    path.parent.chmod(0o777)
    yield path
    shutil.rmtree(path.parent)


@pytest.fixture
def supervised(folder: Path) -> Iterator[Supervised]:
    running = Supervised(folder)
    yield running
    running.stop()


def test_sigterm_leaves_no_process_within_ten_seconds(supervised: Supervised) -> None:
    processes = descendants(supervised.process.pid)
    assert len(processes) > 5
    began = time.monotonic()
    assert supervised.stop() == 0
    assert time.monotonic() - began < 10
    assert living(processes) == {}
    assert "stubborn did not stop in time; killing it" in supervised.log


def test_a_killed_child_is_started_again_and_the_log_says_so(supervised: Supervised) -> None:
    killed = supervised.child("cache")
    assert killed
    os.kill(killed, signal.SIGKILL)
    supervised.wait_for(lambda: "cache was killed by SIGKILL; starting it again" in supervised.log)
    supervised.wait_for(lambda: supervised.child("cache") not in {killed, None})


def test_a_killed_database_comes_back_on_the_same_data(supervised: Supervised) -> None:
    killed = supervised.child("postgres")
    assert killed
    os.kill(killed, signal.SIGKILL)
    supervised.wait_for(lambda: "automatic recovery" in supervised.log)
    supervised.wait_for(lambda: supervised.log.count("ready to accept connections") == 2)


def test_a_second_instance_on_the_same_folder_is_refused(supervised: Supervised) -> None:
    refused = subprocess.run(
        [sys.executable, str(MANAGE), "up"],
        env={**outside_environment(), "PARLEY_VAR": str(supervised.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert f"already runs on the data folder {supervised.folder}" in refused.stdout
    assert f"process {supervised.process.pid}" in refused.stdout


def test_what_a_killed_supervisor_left_over_is_ended_at_the_next_start(
    supervised: Supervised,
) -> None:
    processes = descendants(supervised.process.pid)
    stubborn = supervised.child("stubborn")
    supervised.process.kill()
    supervised.process.wait()
    assert stubborn in living(processes)

    again = Supervised(supervised.folder)
    assert f"stubborn (process {stubborn}) was left over" in again.log
    assert living(processes) == {}
    assert again.stop() == 0


def test_a_process_that_merely_has_a_recorded_number_is_left_alone(folder: Path) -> None:
    with subprocess.Popen(["sleep", "3600"], start_new_session=True) as stranger:
        (folder / "run").mkdir(parents=True)
        record = {"name": "cache", "pid": stranger.pid, "identity": "other", "stop_signal": 15}
        (folder / "run" / "children.json").write_text(json.dumps([record]))
        again = Supervised(folder)
        assert stranger.poll() is None
        again.stop()
        stranger.kill()


@pytest.mark.parametrize("as_user", [None, UNPRIVILEGED_ID])
def test_it_runs_as_root_and_as_an_ordinary_user_with_private_files(
    folder: Path, as_user: int | None
) -> None:
    if as_user is not None and os.geteuid() != 0:
        # This whole test run is an ordinary user's: the other case has shown it.
        as_user = None
    running = Supervised(folder, as_user=as_user)
    assert stat.S_IMODE(folder.stat().st_mode) in {0o700, 0o710}
    secrets = [*(folder / "secrets").iterdir(), *folder.glob("*/valkey.conf")]
    assert len(secrets) >= 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets} == {0o600}
    assert {stat.S_IMODE(file.parent.stat().st_mode) for file in secrets} == {0o700}
    assert running.stop() == 0


def test_a_folder_that_the_database_user_cannot_reach_gets_its_database_elsewhere(
    folder: Path,
) -> None:
    if os.geteuid() != 0:
        return  # Only root has to give the database to another user.
    folder.parent.chmod(0o700)
    running = Supervised(folder)
    home = folder / "postgres"
    assert home.is_symlink()
    elsewhere = home.resolve()
    assert running.stop() == 0
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    shutil.rmtree(elsewhere)


def test_a_taken_port_gets_a_message_that_names_another(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [sys.executable, str(MANAGE), "up"],
            env={**outside_environment(), "PARLEY_VAR": str(folder), "PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert refused.returncode == 1
    assert f"Port {port} of this machine is taken" in refused.stdout
    assert f"make run PORT={port + 1}" in refused.stdout


def test_ports_are_remembered_and_given_up_when_another_program_has_them(folder: Path) -> None:
    data_folder = DataFolder(folder)
    data_folder.create()
    first = data_folder.allocate_ports(("postgres", "cache"))
    assert data_folder.allocate_ports(("postgres", "cache")) == first
    with socket.create_server(("127.0.0.1", first["cache"])):
        second = data_folder.allocate_ports(("postgres", "cache"))
    assert second["postgres"] == first["postgres"]
    assert second["cache"] != first["cache"]


def test_the_lock_goes_with_its_release(folder: Path) -> None:
    data_folder = DataFolder(folder)
    data_folder.create()
    InstanceLock(data_folder, what="one").release()
    InstanceLock(data_folder, what="two").release()


def test_commands_that_need_no_server_start_none(folder: Path) -> None:
    environment = {**outside_environment(), "PARLEY_VAR": str(folder), "PORT": str(free_port())}
    shown = subprocess.run(
        [sys.executable, str(MANAGE), "help", "up"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "Runs all of Parley on this machine" in shown.stdout
    assert not folder.exists()
