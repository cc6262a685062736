"""Celery's entry to tuning."""

from celery import shared_task

from apps.tuning import scheduling


@shared_task
def apply_scheduled() -> None:
    """Make the scheduled changes whose time has come."""
    scheduling.apply_due()
