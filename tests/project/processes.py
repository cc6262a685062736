"""What the supervisor's tests look at from outside: processes and records of children."""

import json
import subprocess
from pathlib import Path

from project.supervisor.data_folder import REPOSITORY
from project.supervisor.orphans import identity

MANAGE = REPOSITORY / "manage.py"


def recorded_child(folder: Path, name: str) -> int | None:
    """Return the process id of a child, or None between its death and its next start."""
    records = json.loads((folder / "run" / "children.json").read_text())
    return next((record["pid"] for record in records if record["name"] == name), None)


def descendants(pid: int) -> dict[int, str]:
    """Return the identity of every process below `pid`."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    parents = [[int(number) for number in line.split()] for line in listing.stdout.splitlines()]
    found, previous = {pid}, 0
    while len(found) != previous:
        previous = len(found)
        found |= {child for child, parent in parents if parent in found}
    return {child: known for child in found - {pid} if (known := identity(child))}


def living(processes: dict[int, str]) -> dict[int, str]:
    """Return those of the processes that still live."""
    return {pid: known for pid, known in processes.items() if identity(pid) == known}
