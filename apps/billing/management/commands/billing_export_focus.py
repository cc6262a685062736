"""`manage.py billing_export_focus`: a month's charges as FOCUS 1.2 rows in CSV."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Department
from apps.billing.errors import BillingError
from apps.billing.statements import report
from apps.billing.statements.drafting import month_title
from apps.billing.statements.focus_rows import focus_csv


class Command(BaseCommand):
    help = (
        "Write a month's charges as FOCUS 1.2 (FinOps Open Cost and Usage Specification), CSV in UTF-8: a row for each "
        "day, department, model, meter and price. Its BilledCost adds up to the statements."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", required=True, help="which month, like 2026-11")
        parser.add_argument("--department", help="code of the one department to export")
        parser.add_argument("--output", type=Path, help="file to write; default: standard output")
        parser.add_argument(
            "--detail", action="store_true", help="a row for each call, meter and price"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        codes = set(Department.objects.values_list("code", flat=True))
        try:
            code = report.code_among(codes, options["department"])
            month = report.stated_month(
                starts_at=report.month_named(options["month"], at=now), at=now
            )
            if code:
                month = month.of_department(code)
            if not month.is_closed:
                self.stderr.write(
                    _("%s is open: these rows are a preview and name no invoice.")
                    % month_title(month.starts_at)
                )
            self._write(focus_csv(month, is_detailed=options["detail"]), options["output"])
        except BillingError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                _("The rows could not be written: %s. Name another file with --output.") % error
            ) from error

    def _write(self, lines: Iterator[str], output: Path | None) -> None:
        if output is None:
            for line in lines:
                self.stdout.write(line, ending="")
            return
        if output.exists() and not output.is_file():
            # A device would be replaced by the file.
            raise CommandError(_("%s is no file: name one with --output.") % output)
        # Whole or not at all: what goes wrong on the way leaves an earlier export as it was.
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=".focus.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
            Path(name).replace(output)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
