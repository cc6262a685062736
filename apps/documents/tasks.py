"""What workers and beat are asked to do with documents."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from apps.documents import ingestion, runs, storage

ORPHAN_AGE: Final = timedelta(hours=1)


@shared_task
def ingest(run_id: str) -> None:
    """Work on an ingestion run."""
    ingestion.run(UUID(run_id))


@shared_task
def resume_runs() -> None:
    """Send the messages of runs nobody works on, after a killed worker or a lost message."""
    for run in runs.due():
        if runs.take_for_hint(run):
            ingest.delay(str(run.pk))


@shared_task
def sweep_files() -> None:
    """Remove files that lost their document, or never got one."""
    storage.sweep(older_than=timezone.now() - ORPHAN_AGE)
