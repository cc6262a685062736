"""Celery's entry to billing; queue `billing`."""

from celery import shared_task

from apps.billing import alerts, saving_months, services
from apps.billing.anomalies import mailing
from apps.billing.anomalies import service as anomalies
from apps.billing.budgets import mailing as requests
from apps.billing.costs import rollups, upkeep


@shared_task
def settle_expired() -> None:
    """Settle calls whose process died."""
    while services.settle_expired():
        pass


@shared_task
def make_partitions() -> None:
    """Make the coming months' tables of usage records."""
    upkeep.make_partitions()


@shared_task
def roll_up() -> None:
    """Add settled calls to the cost totals."""
    rollups.roll_up()


@shared_task
def keep_savings() -> None:
    """Sum the savings of a month that is over."""
    saving_months.keep()


@shared_task
def remove_detail() -> None:
    """Remove the single calls of closed months older than the retention."""
    upkeep.remove_detail()


@shared_task
def raise_alerts() -> None:
    """Tell people how far budgets have come and what is asked of them, and send what could not be sent before."""
    alerts.raise_due()
    mailing.send_waiting()
    requests.send_waiting()


@shared_task
def raise_overruns() -> None:
    """Tell people whose month is forecast to pass its limit."""
    alerts.raise_overruns()


@shared_task
def detect_anomalies() -> None:
    """Look for unexpected cost in the hours past."""
    anomalies.detect()
