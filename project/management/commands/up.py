"""`manage.py up`, for Django's help; manage.py itself runs it before Django is loaded."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from project.supervisor import up


class Command(BaseCommand):
    """Run all of Parley on this machine."""

    help = (
        "Runs all of Parley on this machine: database, Valkeys, models, web, worker, beat. "
        "PORT= chooses the port (8000), PARLEY_VAR= the data folder, DEMO=0 starts empty. "
        "DATABASE_URL, CACHE_URL, REDIS_URL and CELERY_BROKER_URL name outside servers to use."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(up.run())
