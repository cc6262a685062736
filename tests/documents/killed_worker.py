"""A worker for one run that kills itself, with SIGKILL, the first time the work is at the place named.

Run as `python -m tests.documents.killed_worker RUN_ID PLACE STORE_FOLDER`, with the test's DATABASE_URL.
"""

import os
import signal
import sys
from uuid import UUID

import django
from django.conf import settings


def main() -> None:
    """Work until the place is reached."""
    run_id, place, folder = sys.argv[1:]
    settings.STORAGES["documents"]["OPTIONS"]["location"] = folder
    django.setup()
    from apps.documents import ingestion

    def die_there(label: str) -> None:
        if label == place:
            os.kill(os.getpid(), signal.SIGKILL)

    ingestion.run(UUID(run_id), on_step=die_there)


if __name__ == "__main__":
    main()
