"""`manage.py billing_release_stale`: settles the calls whose process died, now instead of at the next minute."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import ngettext

from apps.billing import services


class Command(BaseCommand):
    help = (
        "Settle all expired calls now: each is charged as if it had used all it could, marked as an estimate that the"
        " provider's own figures may still put right, and its budgets are freed of what it held. A scheduled task"
        " does the same every minute; running both at once settles each call once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        settled_count = 0
        while batch_count := services.settle_expired():
            settled_count += batch_count
        if options["json"]:
            self.stdout.write(json.dumps({"settled_count": settled_count}))
        else:
            self.stdout.write(
                ngettext(
                    "%(count)d expired call was settled at an estimate.",
                    "%(count)d expired calls were settled at estimates.",
                    settled_count,
                )
                % {"count": settled_count}
            )
