"""What a single manage.py command needs: the running instance's services, or its own for a while."""

import atexit
import os
import sys
import time
import warnings
from collections.abc import Sequence

from project.supervisor.application import preparation_program
from project.supervisor.console import Console
from project.supervisor.data_folder import DataFolder, FolderInUseError, InstanceLock
from project.supervisor.installation import (
    Installation,
    embedded_storage,
    placeholder_environment,
)
from project.supervisor.postgres import PostgresError
from project.supervisor.supervisor import StartError, Supervisor
from project.supervisor.valkey import ValkeyError

# They read the settings and call no server.
_NEED_NOTHING = frozenset(
    {
        *("check", "collectstatic", "compilemessages", "diffsettings", "findstatic", "help"),
        *("makemessages", "makemigrations", "startapp", "startproject", "up", "version"),
    }
)
_NEED_MODELS = frozenset({"documents_evaluate", "documents_tune_threshold", "llm_ping"})
_STOP_SECONDS = 5.0


def prepare(argv: Sequence[str]) -> None:
    """Make the environment that the command `argv` needs, starting services when none run.

    What is started is stopped at the process's end. Exits with a message when it can't start.
    """
    command = argv[1] if len(argv) > 1 else "help"
    if command in _NEED_NOTHING or {"-h", "--help", "--version"} & {*argv}:
        # It would compare with the database's history, and say so when there is none.
        warnings.filterwarnings("ignore", message="Got an error checking a consistent migration")
        os.environ.update(placeholder_environment())
        return
    folder = DataFolder.from_environment()
    needs_models = command in _NEED_MODELS
    if not embedded_storage() and not needs_models:
        folder.create()
        os.environ.update(Installation(folder).environment())
        return
    try:
        installation = _running_or_started(
            folder, f"manage.py {command}", needs_models=needs_models
        )
    except (PostgresError, StartError, ValkeyError) as error:
        sys.exit(str(error))
    os.environ.update(installation.environment())


def _running_or_started(folder: DataFolder, what: str, *, needs_models: bool) -> Installation:
    folder.create()
    while True:
        try:
            lock = InstanceLock(folder, what=what)
        except FolderInUseError as error:
            if error.holder.get("is_ready"):
                return Installation.running(folder)
            time.sleep(0.1)
        else:
            return _started(folder, lock, needs_models=needs_models)


def _started(folder: DataFolder, lock: InstanceLock, *, needs_models: bool) -> Installation:
    is_new = "postgres" in embedded_storage() and not (folder.path / "postgres" / "data").exists()
    log_file = (folder.subfolder("run") / "services.log").open("wb")
    supervisor = Supervisor(folder, Console(sys.stderr), log_file=log_file)

    def stop() -> None:
        supervisor.stop()
        lock.release()

    # Registered first: what is started below is stopped even when the next part fails.
    atexit.register(stop)
    installation = Installation.with_free_ports(folder)
    programs = installation.storage_programs()
    if needs_models:
        programs += installation.model_programs()
    supervisor.start(programs, stop_seconds=_STOP_SECONDS)
    if is_new or needs_models:
        supervisor.run(preparation_program(installation))
    lock.publish(is_ready=True)
    return installation
