"""Celery's entry to the cache: its tables by day, and the last batch of a worker's child."""

from typing import Any

from celery import shared_task
from celery.signals import worker_process_shutdown

from apps.caching import access, partitions


@shared_task(soft_time_limit=300)
def keep_partitions() -> None:
    """Make the coming days' tables, drop those past their retention."""
    partitions.keep()


@worker_process_shutdown.connect
def write_the_rest(**_signal: Any) -> None:
    """Write what a prefork child has noted: it ends without Python's own farewell."""
    access.stop()
