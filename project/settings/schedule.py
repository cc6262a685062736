"""What beat starts, and how often; times in seconds. The tasks themselves are each app's `tasks`."""

from typing import Any

CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # A message that nobody took in time is followed by the next.
    "tuning-apply-scheduled": {
        "task": "apps.tuning.tasks.apply_scheduled",
        "schedule": 2.0,
        "options": {"expires": 10.0},
    },
    "chat-sweep-replies": {"task": "apps.chat.tasks.sweep_replies", "schedule": 10.0},
    "chat-remove-old-answers": {"task": "apps.chat.tasks.remove_old_answers", "schedule": 600.0},
    "documents-resume-runs": {"task": "apps.documents.tasks.resume_runs", "schedule": 15.0},
    "documents-sweep-files": {"task": "apps.documents.tasks.sweep_files", "schedule": 3600.0},
    "billing-settle-expired": {"task": "apps.billing.tasks.settle_expired", "schedule": 60.0},
    "billing-make-partitions": {"task": "apps.billing.tasks.make_partitions", "schedule": 86400.0},
    "billing-roll-up": {
        "task": "apps.billing.tasks.roll_up",
        "schedule": 5.0,
        "options": {"expires": 20.0},
    },
    "billing-raise-alerts": {
        "task": "apps.billing.tasks.raise_alerts",
        "schedule": 60.0,
        "options": {"expires": 120.0},
    },
    "billing-raise-overruns": {"task": "apps.billing.tasks.raise_overruns", "schedule": 3600.0},
    "billing-detect-anomalies": {"task": "apps.billing.tasks.detect_anomalies", "schedule": 3600.0},
    "billing-keep-savings": {"task": "apps.billing.tasks.keep_savings", "schedule": 3600.0},
    "billing-remove-detail": {"task": "apps.billing.tasks.remove_detail", "schedule": 86400.0},
    # Each day's tables of the access log are made days ahead; hourly, so that a shorter retention acts soon.
    "caching-keep-partitions": {"task": "apps.caching.tasks.keep_partitions", "schedule": 3600.0},
    "observability-collect-profiles": {
        "task": "apps.observability.tasks.collect_profiles",
        "schedule": 3600.0,
    },
}
