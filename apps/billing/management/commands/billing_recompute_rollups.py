"""`manage.py billing_recompute_rollups`: compares the cost totals with the calls, and makes them anew where they differ."""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.billing import calendar
from apps.billing.costs import rollups, upkeep
from apps.billing.costs.rollups import Difference
from apps.billing.errors import BillingError
from apps.billing.statements.report import month_named
from apps.core.money import format_nanos


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was found in one month, and whether its totals were made anew."""

    month: str
    has_detail: bool
    differences: list[Difference]
    is_remade: bool


class Command(BaseCommand):
    help = (
        "Compare the cost totals of a month, or of all, with its calls, and make those that differ anew; safe while "
        "calls go on. Ends with 1 when --check finds a difference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", help="only this month, 2026-11; default: all")
        parser.add_argument(
            "--check", action="store_true", help="compare and report, change nothing"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        months = upkeep.months_with_cost()
        if options["month"] is not None:
            try:
                months = [month_named(options["month"], at=timezone.now())]
            except BillingError as error:
                raise CommandError(str(error)) from error
        outcomes = []
        for month in months:
            outcomes.append(_handle(month, is_check=options["check"]))
            if not options["json"]:
                self._write(outcomes[-1])
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in outcomes]))
        if any(one.differences and not one.is_remade for one in outcomes):
            sys.exit(1)

    def _write(self, outcome: _Outcome) -> None:
        if not outcome.has_detail:
            said = _("its calls were removed; its totals stay as they are")
        elif not outcome.differences:
            said = _("totals and calls agree")
        else:
            said = _("made anew") if outcome.is_remade else _("totals and calls differ")
        self.stdout.write(f"{outcome.month}  {said}")
        for one in outcome.differences:
            row_count, amount = one.row_count, format_nanos(one.off_nanos)
            self.stdout.write(
                _("         %(total)s: %(count)d rows, off by %(amount)s")
                % {"total": one.total_name, "count": row_count, "amount": amount}
            )


def _handle(month: datetime, *, is_check: bool) -> _Outcome:
    name = f"{month:%Y-%m}"
    if not rollups.has_detail(starts_at=month, ends_at=calendar.next_month(month)):
        return _Outcome(name, has_detail=False, differences=[], is_remade=False)
    found = rollups.differences(starts_at=month)
    if found and not is_check:
        rollups.remake(starts_at=month)
    return _Outcome(
        name, has_detail=True, differences=found, is_remade=bool(found and not is_check)
    )
