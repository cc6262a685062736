"""Telling operators and heads of departments about anomalies, each once."""

from collections import defaultdict
from datetime import datetime

from django.utils import timezone

from apps.accounts.models import Department
from apps.billing import notices
from apps.billing.calendar import zone
from apps.billing.models import Anomaly


def send_waiting(at: datetime | None = None) -> int:
    """Write to operators and the department's heads about anomalies nobody was told of, one message a department.

    Returns how many messages went out; what fails is tried again at the next call, for three days.
    """
    now = at or timezone.now()
    sent = 0
    with notices.sender() as is_ours:
        for department, anomalies in _waiting(now) if is_ours else ():
            people = [*notices.operators(), *notices.heads([department.pk])]
            context = {
                "department": department,
                "anomalies": [
                    (one, notices.link("admin:billing_anomaly_change", one.pk)) for one in anomalies
                ],
                "department_page": notices.link("billing:department", department.code),
                "zone": zone().key,
            }
            if notices.send(
                template="billing/mail/anomalies.txt", context=context, recipients=people
            ):
                ids = [anomaly.pk for anomaly in anomalies]
                Anomaly.objects.filter(pk__in=ids).update(emailed_at=timezone.now())
                sent += 1
    return sent


def _waiting(now: datetime) -> list[tuple[Department, list[Anomaly]]]:
    rows = Anomaly.objects.filter(
        emailed_at__isnull=True, created_at__gt=now - notices.RETRIED_FOR
    ).select_related("department")
    waiting: dict[Department, list[Anomaly]] = defaultdict(list)
    for anomaly in rows.order_by("department__name", "starts_at"):
        waiting[anomaly.department].append(anomaly)
    return list(waiting.items())
