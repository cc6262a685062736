"""Celery's entry to billing; queue `billing`."""

from celery import shared_task

from apps.billing import alerts, forecast, services
from apps.billing.anomalies import mailing
from apps.billing.anomalies import service as anomalies
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
def remove_detail() -> None:
    """Remove the single calls of closed months older than the retention."""
    upkeep.remove_detail()


@shared_task
def raise_alerts() -> None:
    """Tell people how far budgets have come, and send what could not be sent before."""
    alerts.raise_due()
    mailing.send_waiting()


@shared_task
def raise_overruns() -> None:
    """Tell people whose month is forecast to pass its limit."""
    alerts.raise_overruns()


@shared_task
def keep_history() -> None:
    """Read once an hour what the forecast of all departments stands on."""
    forecast.keep_history()


@shared_task
def detect_anomalies() -> None:
    """Look for unexpected cost in the hours past."""
    anomalies.detect()
