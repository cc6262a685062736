"""One program to run as a child, and the child while it runs. It decides no restarts."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from project.supervisor.data_folder import REPOSITORY

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Program:
    """How to run a child, how to tell that it is ready, and how to stop it."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = _always
    stop_signal: signal.Signals = signal.SIGTERM
    user_id: int | None = None
    folder: Path = REPOSITORY
    # How far it steps back from the processor where others want it too (0 to 19).
    niceness: int = 0


class Child:
    """A running program, leader of a session of its own so that Ctrl-C reaches only us."""

    def __init__(self, program: Program, *, log_file: IO[bytes] | None) -> None:
        self.program = program
        self._process = subprocess.Popen(
            program.argv,
            cwd=program.folder,
            env={**program.environment},
            stdin=subprocess.DEVNULL,
            stdout=log_file or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=program.user_id,
            group=program.user_id,
            extra_groups=None if program.user_id is None else [],
            preexec_fn=_preparation(program),  # noqa: PLW1509 - the supervisor has one thread
        )
        self.pid = self._process.pid

    @property
    def output(self) -> IO[bytes] | None:
        """The child's output; None when it goes into a file."""
        return self._process.stdout

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send the program's stop signal to its first process, which ends its own children."""
        self._process.send_signal(self.program.stop_signal)

    def kill(self) -> None:
        """Kill whatever is left of the child's group, and take its exit code."""
        kill_group(self.pid)
        self._process.wait()


def kill_group(group_id: int) -> None:
    """Send SIGKILL to a process group; an empty group is no error."""
    try:
        os.killpg(group_id, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        # macOS says so for a group whose processes have all ended but are not yet reaped.
        return


def _preparation(program: Program) -> Callable[[], None]:
    """Return what the child does before it becomes the program.

    It asks the kernel to stop it when the supervisor is killed, which only Linux can; elsewhere
    the supervisor's next start ends what was left over.
    """
    parent = os.getpid()

    def prepare() -> None:
        os.nice(program.niceness)
        if sys.platform == "linux":
            _libc.prctl(_PR_SET_PDEATHSIG, int(program.stop_signal))
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare
