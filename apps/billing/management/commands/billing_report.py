"""`manage.py billing_report`: what was spent, by department, model and purpose; for a month also its statements."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Department
from apps.billing import calendar
from apps.billing.errors import BillingError
from apps.billing.reports import UsageReport, UsageTotal, usage_report
from apps.billing.statements import report as statements
from apps.billing.statements.report import StatedMonth
from apps.core.money import format_nanos


def _moment(text: str) -> datetime:
    """Return the moment an ISO date or date and time names; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Sum the usage records of a month (this one if none is given) or of a span of time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", help="which month, like 2026-11; its statements are shown")
        parser.add_argument("--department", default="", help="code of the one department to report")
        parser.add_argument("--from", dest="starts_at", type=_moment, help="first moment, ISO 8601")
        parser.add_argument(
            "--to", dest="ends_at", type=_moment, help="moment before which it ends"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        code, month = options["department"], self._month(**options)
        if code and not Department.objects.filter(code=code).exists():
            raise CommandError(_("There is no department with the code %s.") % code)
        if month and code:
            month = month.of_department(code)
        starts_at, ends_at = calendar.month_of(timezone.now())
        starts_at = month.starts_at if month else options["starts_at"] or starts_at
        ends_at = month.ends_at if month else options["ends_at"] or ends_at
        if ends_at <= starts_at:
            raise CommandError(_("The span ends before it begins: give --from and --to in order."))
        report = usage_report(starts_at=starts_at, ends_at=ends_at, department_code=code)
        if options["json"]:
            stated = {"statements": list(statements.totals(month))} if month else {}
            self.stdout.write(json.dumps({**asdict(report), **stated}, default=datetime.isoformat))
        else:
            self._write(report)
            if month:
                self._write_statements(month)

    def _month(self, **options: Any) -> StatedMonth | None:
        if not options["month"]:
            return None
        if options["starts_at"] or options["ends_at"]:
            raise CommandError(_("Give a month or a span of time, not both."))
        now = timezone.now()
        try:
            starts_at = statements.month_named(options["month"], at=now)
        except BillingError as error:
            raise CommandError(str(error)) from error
        return statements.stated_month(starts_at=starts_at, at=now)

    def _write(self, report: UsageReport) -> None:
        zone = calendar.zone()
        starts_at, ends_at = report.starts_at.astimezone(zone), report.ends_at.astimezone(zone)
        self.stdout.write(f"{starts_at:%Y-%m-%d %H:%M} – {ends_at:%Y-%m-%d %H:%M} {zone}")
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

    def _write_statements(self, month: StatedMonth) -> None:
        title = _("Statements") if month.is_closed else _("Statements (preview: the month is open)")
        self.stdout.write(f"\n{title}")
        for one in month.statements:
            self.stdout.write(
                f"  {one.department_name:<40} {_('usage')} {format_nanos(one.usage_nanos)}, "
                f"{_('adjustments')} {format_nanos(one.adjustments_nanos)}, "
                f"{_('shared')} {format_nanos(one.shared_nanos)}: {format_nanos(one.total_nanos)}"
            )
        self.stdout.write(_("Total of the statements: %s") % format_nanos(month.total_nanos))
