"""Hosts the embedded model servers of a test run: `python -m tests.models_host FOLDER`.

A process of its own, since the run's workers share the models and none outlives the others
for sure. It ends with the run: its end of the pipe `alive` closes then.
"""

import json
import os
import sys
from pathlib import Path

from project.supervisor.console import Console
from project.supervisor.data_folder import DataFolder, write_private
from project.supervisor.installation import Installation
from project.supervisor.supervisor import Supervisor


def main() -> None:
    """Start both servers, say where they are, and wait for the end of the test run."""
    run_folder = Path(sys.argv[1])
    (run_folder / "models-host").write_text(str(os.getpid()))
    folder = DataFolder(run_folder / "models")
    folder.create()
    with (
        (run_folder / "models.log").open("wb") as log_file,
        Supervisor(folder, Console(sys.stderr), log_file=log_file) as supervisor,
    ):
        installation = Installation(folder, folder.allocate_ports(("chat", "embedder")))
        supervisor.start(installation.model_programs(), stop_seconds=3)
        facts = {
            "chat_url": installation.chat.url,
            "embedding_url": installation.embedder.url,
            "api_key": folder.secret("embedded_api_key"),
        }
        write_private(run_folder / "models.json", json.dumps(facts))
        with (run_folder / "alive").open("rb") as alive:
            alive.read()


if __name__ == "__main__":
    main()
