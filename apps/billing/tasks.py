"""Celery's entry to billing; queue `billing`."""

from celery import shared_task

from apps.billing import services


@shared_task
def settle_expired() -> None:
    """Settle calls whose process died."""
    while services.settle_expired():
        pass


@shared_task
def make_partitions() -> None:
    """Make the coming months' tables of usage records."""
    services.make_partitions()
