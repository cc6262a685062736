"""`manage.py billing_savings`: what a month's mechanisms saved, and what it would have cost without them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing import savings
from apps.billing.savings import SavingTotal
from apps.billing.spans import SpanError, read_span
from apps.core.money import format_nanos


class Command(BaseCommand):
    help = "Sum the savings of a month, this one if none is given, by mechanism and department."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--month", default="", help="month of the billing time zone, as 2026-11"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            span = read_span(month=options["month"], day="", now=timezone.now())
        except SpanError as error:
            raise CommandError(_("%s is no month that has begun.") % options["month"]) from error
        mechanisms = savings.by_mechanism(span.starts_at, span.ends_at)
        departments = savings.by_department(span.starts_at, span.ends_at)
        saved = savings.summed(mechanisms)
        actual = savings.actual_nanos(span.starts_at, span.ends_at)
        amounts = {
            "actual": actual,
            "saved": saved.saved_nanos,
            "overhead": saved.overhead_nanos,
            "net": saved.net_nanos,
            "baseline": actual + saved.net_nanos,
        }
        if options["json"]:
            report = {
                "month": span.month,
                **{f"{name}_nanos": nanos for name, nanos in amounts.items()},
                "saved_ms": saved.saved_ms,
                "mechanisms": [asdict(row) for row in mechanisms],
                "departments": [asdict(row) for row in departments],
            }
            self.stdout.write(json.dumps(report))
            return
        self._write_rows(_("Thanks to"), mechanisms)
        self._write_rows(_("Departments"), departments)
        said = _("%(month)s: saved %(net)s; it cost %(actual)s and would have cost %(baseline)s.")
        words = {name: format_nanos(nanos) for name, nanos in amounts.items()}
        self.stdout.write(f"\n{said % {'month': span.month, **words}}")

    def _write_rows(self, title: str, rows: Sequence[SavingTotal]) -> None:
        self.stdout.write(f"\n{title}")
        for row in rows:
            self.stdout.write(
                f"  {row.name:<40} {row.request_count:>8} {format_nanos(row.net_nanos):>16}"
            )
