"""`manage.py billing_report`: what was spent, by department, model and purpose."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing.calendar import month_of
from apps.billing.reports import UsageReport, UsageTotal, usage_report
from apps.core.money import format_nanos


def _moment(text: str) -> datetime:
    """Return the moment an ISO date or date and time names; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Sum the usage records of a span of time, this month if none is given."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="starts_at", type=_moment, help="first moment, ISO 8601")
        parser.add_argument(
            "--to", dest="ends_at", type=_moment, help="moment before which it ends"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        month_starts_at, month_ends_at = month_of(timezone.now())
        report = usage_report(
            starts_at=options["starts_at"] or month_starts_at,
            ends_at=options["ends_at"] or month_ends_at,
        )
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report), default=datetime.isoformat))
        else:
            self._write(report)

    def _write(self, report: UsageReport) -> None:
        self.stdout.write(
            f"{report.starts_at:%Y-%m-%d %H:%M} – {report.ends_at:%Y-%m-%d %H:%M} UTC"
        )
        self._write_totals(_("Departments"), report.departments)
        self._write_totals(_("Models"), report.llm_models)
        self._write_totals(_("Purposes"), report.purposes)
        total = _("Total: %(amount)s in %(count)d calls") % {
            "amount": format_nanos(report.total_nanos),
            "count": report.call_count,
        }
        self.stdout.write(f"\n{total}")

    def _write_totals(self, title: str, totals: Sequence[UsageTotal]) -> None:
        self.stdout.write(f"\n{title}")
        for total in totals:
            self.stdout.write(
                f"  {total.name:<40} {total.call_count:>8} {format_nanos(total.amount_nanos):>16}"
            )
