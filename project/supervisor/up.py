"""`manage.py up`: the whole of Parley on this machine, as children of this process."""

import os

from project.supervisor.application import application_programs, preparation_program
from project.supervisor.console import Console
from project.supervisor.data_folder import (
    DataFolder,
    FolderInUseError,
    InstanceLock,
    can_bind,
)
from project.supervisor.installation import (
    DEFAULT_PORT,
    Installation,
    announcement_file,
    demo_is_wanted,
)
from project.supervisor.postgres import PostgresError
from project.supervisor.supervisor import StartError, StopRequestedError, Supervisor
from project.supervisor.valkey import ValkeyError

# Together below the ten seconds in which everything has to be gone.
_APPLICATION_STOP_SECONDS = 6.5
_SERVICES_STOP_SECONDS = 2.5


class PortError(Exception):
    """Parley's own port can't be used."""


def run() -> int:
    """Run until a signal asks to stop; return the exit code."""
    console = Console()
    folder = DataFolder.from_environment()
    try:
        folder.create()
        lock = InstanceLock(folder, what="manage.py up")
        try:
            _run(folder, lock, console)
        finally:
            lock.release()
    except StopRequestedError:
        return 0
    except (FolderInUseError, PortError, PostgresError, StartError, ValkeyError) as error:
        console.say(str(error))
        return 1
    return 0


def _run(folder: DataFolder, lock: InstanceLock, console: Console) -> None:
    port = _own_port()
    address = f"http://127.0.0.1:{port}"
    with Supervisor(folder, console) as supervisor:
        supervisor.listen_to_signals()
        installation = Installation.with_free_ports(folder)
        console.say(f"starting on the data folder {folder.path}")
        supervisor.start(
            [*installation.storage_programs(), *installation.model_programs()],
            stop_seconds=_SERVICES_STOP_SECONDS,
        )
        lock.publish(is_ready=True, address=address)
        supervisor.run(preparation_program(installation, address=address, demo=demo_is_wanted()))
        supervisor.start(
            application_programs(installation, port=port), stop_seconds=_APPLICATION_STOP_SECONDS
        )
        console.say(f"Parley is ready: {address}")
        if (announcement := announcement_file(folder)).exists():
            console.say(announcement.read_text())
        console.say("Ctrl-C stops it.")
        supervisor.watch()
        console.say("stopping")
    console.say("stopped")


def _own_port() -> int:
    given = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise PortError(f"PORT={given} is not a port: choose one from 1 to 65535.")
    port = int(given)
    if not can_bind(port):
        raise PortError(
            f"Port {port} of this machine is taken by another program or not allowed. "
            f"Choose another one, for example: make run PORT={port % 65535 + 1}"
        )
    # The children build addresses with it.
    os.environ["PORT"] = given
    return port
