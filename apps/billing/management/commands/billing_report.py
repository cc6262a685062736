"""`manage.py billing_report`: what was spent, by department, model and purpose; for a month also its statements."""

import json
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Department
from apps.billing import calendar
from apps.billing.costs import overview as costs
from apps.billing.costs.overview import CostFilter, CostLine, CostOverview, Dimension
from apps.billing.errors import BillingError
from apps.billing.spans import FIRST_YEAR
from apps.billing.statements import report as statements
from apps.billing.statements.report import StatedMonth
from apps.core.money import format_nanos

LAST_YEAR = 2999
# What is told, under which name in JSON.
PARTS = {
    "departments": Dimension.DEPARTMENT,
    "llm_models": Dimension.MODEL,
    "purposes": Dimension.PURPOSE,
}


def _moment(text: str) -> datetime:
    """Return the moment an ISO date or date and time names; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            _("“%s” is no moment: write it like 2026-11-01 or 2026-11-01T08:00+01:00.") % text
        ) from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ArgumentTypeError(
            _("“%(moment)s” is not between the years %(first)d and %(last)d.")
            % {"moment": text, "first": FIRST_YEAR, "last": LAST_YEAR}
        )
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Sum the calls of a month (this one if none is given) or of a span of time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", help="which month, like 2026-11; its statements are shown")
        parser.add_argument("--department", help="code of the one department to report")
        parser.add_argument("--from", dest="starts_at", type=_moment, help="first moment, ISO 8601")
        parser.add_argument(
            "--to", dest="ends_at", type=_moment, help="moment before which it ends"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        codes = dict(Department.objects.values_list("code", "pk"))
        try:
            month = self._month(**options)
            chosen = statements.code_among(codes, options["department"])
        except BillingError as error:
            raise CommandError(str(error)) from error
        if month and chosen:
            month = month.of_department(chosen)
        starts_at, ends_at = calendar.month_of(timezone.now())
        asked = CostFilter(
            starts_at=month.starts_at if month else options["starts_at"] or starts_at,
            ends_at=month.ends_at if month else options["ends_at"] or ends_at,
            department_ids=(codes[chosen],) if chosen else None,
        )
        if asked.ends_at <= asked.starts_at:
            raise CommandError(_("The span ends before it begins: give --from and --to in order."))
        found = costs.overview(asked, [*PARTS.values()], limit=None)
        if options["json"]:
            self._write_json(asked, found, month, {pk: code for code, pk in codes.items()})
        else:
            self._write(asked, found)
            if month:
                self._write_statements(month)

    def _month(self, **options: Any) -> StatedMonth | None:
        if options["month"] is None:
            return None
        if options["starts_at"] or options["ends_at"]:
            raise CommandError(_("Give a month or a span of time, not both."))
        now = timezone.now()
        starts_at = statements.month_named(options["month"], at=now)
        return statements.stated_month(starts_at=starts_at, at=now)

    def _write_json(
        self,
        asked: CostFilter,
        found: CostOverview,
        month: StatedMonth | None,
        codes: dict[UUID, str],
    ) -> None:
        said: dict[str, Any] = {
            "starts_at": asked.starts_at.isoformat(),
            "ends_at": asked.ends_at.isoformat(),
            "total_nanos": found.total.amount_nanos,
            "call_count": found.total.call_count,
        }
        for part, dimension in PARTS.items():
            said[part] = [_as_json(line) for line in found.lines[dimension]]
        for line in said["departments"]:
            line["code"] = codes[UUID(line["code"])]
        if month:
            said["statements"] = list(statements.totals(month))
        self.stdout.write(json.dumps(said))

    def _write(self, asked: CostFilter, found: CostOverview) -> None:
        zone = calendar.zone()
        starts_at, ends_at = asked.starts_at.astimezone(zone), asked.ends_at.astimezone(zone)
        self.stdout.write(f"{starts_at:%Y-%m-%d %H:%M} – {ends_at:%Y-%m-%d %H:%M} {zone}")
        self._write_lines(_("Departments"), found.lines[Dimension.DEPARTMENT])
        self._write_lines(_("Models"), found.lines[Dimension.MODEL])
        self._write_lines(_("Purposes"), found.lines[Dimension.PURPOSE])
        total = _("Total: %(amount)s in %(count)d calls") % {
            "amount": format_nanos(found.total.amount_nanos),
            "count": found.total.call_count,
        }
        self.stdout.write(f"\n{total}")

    def _write_lines(self, title: str, lines: Sequence[CostLine]) -> None:
        self.stdout.write(f"\n{title}")
        for line in lines:
            self.stdout.write(
                f"  {line.name:<40} {line.call_count:>8} {format_nanos(line.amount_nanos):>16}"
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


def _as_json(line: CostLine) -> dict[str, Any]:
    values = asdict(line)
    return {"code": values.pop("key"), **values}
