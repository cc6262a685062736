"""`manage.py up` as a person starts it: the whole system, its commands beside it, its end."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.conftest import RunningParley, free_port, outside_environment, wait_for_address
from tests.project.processes import MANAGE, descendants, living, recorded_child


def manage(var_folder: Path, *arguments: str) -> str:
    """Run a single command on the data folder and return its output."""
    done = subprocess.run(
        [sys.executable, str(MANAGE), *arguments],
        env={**outside_environment(), "PARLEY_VAR": str(var_folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.05)


def is_served(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def test_it_serves_the_sign_in_page_and_shows_the_demo_logins(
    running_parley: RunningParley,
) -> None:
    assert is_served(f"{running_parley.base_url}/account/login/")
    assert "Demo logins" in running_parley.log_file.read_text()
    private = [*running_parley.var_folder.glob("demo-logins*")]
    assert private
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}


def test_a_command_beside_a_running_instance_uses_its_services(
    running_parley: RunningParley,
) -> None:
    question = "from apps.accounts.models import User; print('people:', User.objects.count())"
    output = manage(running_parley.var_folder, "shell", "-v", "0", "-c", question)
    assert "people: 9" in output
    assert not (running_parley.var_folder / "run" / "services.log").exists()


def test_a_killed_web_process_is_started_again(running_parley: RunningParley) -> None:
    killed = recorded_child(running_parley.var_folder, "web")
    assert killed
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: recorded_child(running_parley.var_folder, "web") not in {killed, None})
    wait_for(lambda: is_served(f"{running_parley.base_url}/livez"))
    assert "web was killed by SIGKILL; starting it again" in running_parley.log_file.read_text()


def test_an_empty_start_gives_a_link_for_the_first_operator_and_ends_without_a_trace(
    running_parley: RunningParley,
) -> None:
    var_folder = Path(tempfile.mkdtemp(prefix="parley-empty-"))
    # The same files are not collected again: that is the longest step of a first start.
    shutil.copytree(running_parley.var_folder / "static", var_folder / "static")
    # The preparation of a single command's first start is the same, so `up` finds it done.
    assert "[X] 0001_initial" in manage(var_folder, "showmigrations", "accounts")
    log_file = var_folder / "up.log"
    environment = {"PARLEY_VAR": str(var_folder), "PORT": str(free_port()), "DEMO": "0"}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), "up"],
            env={**outside_environment(), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = wait_for_address(process, log_file)
    wait_for(lambda: "Ctrl-C stops it" in log_file.read_text())
    link = re.search(rf"{re.escape(address)}\S+", log_file.read_text().partition("once: ")[2])
    assert link
    assert is_served(link.group())

    processes = descendants(process.pid)
    began = time.monotonic()
    process.terminate()
    assert process.wait() == 0
    assert time.monotonic() - began < 10
    assert living(processes) == {}
    shutil.rmtree(var_folder)
