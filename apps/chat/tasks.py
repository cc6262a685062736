"""Celery tasks of chat."""

from celery import shared_task

from apps.chat import finish
from apps.chat.answers import keep


@shared_task(time_limit=60)
def sweep_replies() -> None:
    """End replies whose process died; repeated by beat."""
    finish.sweep()


@shared_task(time_limit=300)
def remove_old_answers() -> None:
    """Delete kept answers and labels whose time is over; repeated by beat."""
    keep.remove_old()
