"""Celery tasks of chat."""

from celery import shared_task

from apps.chat import finish


@shared_task(time_limit=60)
def sweep_replies() -> None:
    """End replies whose process died; repeated by beat."""
    finish.sweep()
