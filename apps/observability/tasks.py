"""Housekeeping of what observing leaves behind."""

from celery import shared_task
from silk.models import Request


@shared_task(soft_time_limit=300)
def collect_profiles() -> None:
    """Drop silk's oldest recordings above SILKY_MAX_RECORDED_REQUESTS, outside of any request."""
    Request.garbage_collect(force=True)
