"""`manage.py billing_close_month`: freeze a month's statements and close it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing.errors import BillingError
from apps.billing.statements import closing, report
from apps.billing.statements.drafting import month_code, month_title
from apps.billing.statements.report import StatedMonth
from apps.core.money import format_nanos


class Command(BaseCommand):
    help = "Close a month that is over: freeze each department's statement; nothing is booked into it any more."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", required=True, help="which month, like 2026-11")
        parser.add_argument(
            "--dry-run", action="store_true", help="show the statements and what stands in the way"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            starts_at = report.month_named(options["month"], at=now)
            was_closed = report.is_closed(starts_at)
            if not options["dry_run"]:
                closing.close_month(starts_at=starts_at)
        except BillingError as error:
            raise CommandError(str(error)) from error
        month = report.stated_month(starts_at=starts_at, at=now)
        if options["json"]:
            self._write_json(month, was_closed=was_closed)
        else:
            self._write(month, was_closed=was_closed)

    def _write_json(self, month: StatedMonth, *, was_closed: bool) -> None:
        said = {
            "month": month_code(month.starts_at),
            "is_closed": month.is_closed,
            "was_closed": was_closed,
            "total_nanos": month.total_nanos,
            "obstacles": list(month.obstacles),
            "statements": list(report.totals(month)),
        }
        self.stdout.write(json.dumps(said))

    def _write(self, month: StatedMonth, *, was_closed: bool) -> None:
        title = month_title(month.starts_at)
        if was_closed:
            self.stdout.write(_("%s was closed before; nothing has changed.") % title)
        elif month.is_closed:
            self.stdout.write(_("%s is closed.") % title)
        else:
            self.stdout.write(_("Preview of %s: nothing is closed.") % title)
        for one in month.statements:
            self.stdout.write(f"  {one.department_name:<40} {format_nanos(one.total_nanos):>16}")
        self.stdout.write(_("Total: %s") % format_nanos(month.total_nanos))
        for obstacle in month.obstacles:
            self.stdout.write(_("In the way: %s") % obstacle)
