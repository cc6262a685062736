"""The record of started children, and the end of those that outlived a killed supervisor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from project.supervisor.data_folder import write_private
from project.supervisor.program import Child, kill_group

_SECONDS_TO_STOP = 3.0
_HAS_PROC = sys.platform == "linux"


class ChildRecords:
    """A file that names each living child by process id and the moment it was started."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._records: dict[int, dict[str, str | int]] = {}

    def add(self, child: Child) -> None:
        """Remember a child that was just started."""
        self._records[child.pid] = {
            "name": child.program.name,
            "pid": child.pid,
            "identity": identity(child.pid) or "",
            "stop_signal": int(child.program.stop_signal),
        }
        self._write()

    def remove(self, child: Child) -> None:
        """Forget a child that has ended with its whole group."""
        self._records.pop(child.pid, None)
        self._write()

    def reap(self, say: Callable[[str], None]) -> None:
        """End what a killed supervisor left running, if it is still the same process.

        The whole group goes: a killed leader can leave its own children behind.
        """
        if self._file.exists():
            for record in json.loads(self._file.read_text()):
                _end(record, say)
        self._write()

    def _write(self) -> None:
        write_private(self._file, json.dumps([*self._records.values()]))


def identity(pid: int) -> str | None:
    """Return what tells a process from a later one with the same id; None when there is none."""
    if _HAS_PROC:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The second field, the program's name, may hold spaces and brackets.
        state, *fields = stat.rpartition(")")[2].split()
        started_at_ticks = fields[18]
        return None if state == "Z" else f"{_boot_id()}/{started_at_ticks}"
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or None


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _end(record: dict[str, str | int], say: Callable[[str], None]) -> None:
    pid, recorded = int(record["pid"]), str(record["identity"])
    present = identity(pid)
    if present == recorded:
        say(f"{record['name']} (process {pid}) was left over from a killed supervisor; ending it")
        os.kill(pid, signal.Signals(int(record["stop_signal"])))
        deadline = time.monotonic() + _SECONDS_TO_STOP
        while identity(pid) == present and time.monotonic() < deadline:
            time.sleep(0.05)
    elif present is not None or not _HAS_PROC or not recorded.startswith(_boot_id()):
        return
    # A group that outlives its leader keeps the number from being given to another process.
    kill_group(pid)
