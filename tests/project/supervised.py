"""A small supervised system: `python tests/project/supervised.py FOLDER [user]`.

Real PostgreSQL and Valkeys, and a program that leaves a child of its own behind. The tests
run it as a process of its own, to send it signals.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from project.supervisor.console import Console
from project.supervisor.data_folder import DataFolder, FolderInUseError, InstanceLock
from project.supervisor.installation import Installation
from project.supervisor.program import Program
from project.supervisor.supervisor import StopRequestedError, Supervisor

# Ignores SIGTERM, and so does its own child: both have to be killed.
_STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("stubborn is here", flush=True)
while True:
    time.sleep(3600)
"""


def main() -> None:
    """Start, say so, and run until a signal asks to stop."""
    folder = DataFolder(Path(sys.argv[1]))
    folder.create()
    try:
        lock = InstanceLock(folder, what="the test's supervisor")
    except FolderInUseError as error:
        sys.exit(str(error))
    console = Console()
    stubborn = Program("stubborn", [sys.executable, "-c", _STUBBORN], environment=dict(os.environ))
    try:
        with Supervisor(folder, console) as supervisor:
            supervisor.listen_to_signals()
            installation = Installation.with_free_ports(folder)
            supervisor.start(installation.storage_programs(), stop_seconds=2.5)
            supervisor.start([stubborn], stop_seconds=1)
            console.say("all is ready")
            supervisor.watch()
    except StopRequestedError:
        console.say("stopped early")
    lock.release()


if __name__ == "__main__":
    main()
