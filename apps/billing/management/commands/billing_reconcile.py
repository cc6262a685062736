"""`manage.py billing_reconcile`: proves the books, or says what differs; repairs nothing."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from apps.billing.reconcile import Reconciliation, reconcile
from apps.core.money import CURRENCY_SYMBOL, in_units


class Command(BaseCommand):
    help = (
        "Prove the books as of one moment: debits equal credits, each call ended once and was posted once, budgets"
        " and totals count what was posted, statements add up. Says every kind of difference in plain words and then"
        " ends with exit code 1. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, amounts in nanos")

    def handle(self, *args: Any, **options: Any) -> None:
        found = reconcile()
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(found), default=datetime.isoformat))
        else:
            self._write(found)
        if not found.is_clean:
            sys.exit(1)

    def _write(self, found: Reconciliation) -> None:
        self.stdout.write(
            _(
                "%(entries)d ledger entries, %(calls)d calls (%(open)d open, %(overdue)d of them overdue,"
                " %(void)d never sent)"
            )
            % {
                "entries": found.entry_count,
                "calls": found.call_count,
                "open": found.open_count,
                "overdue": found.overdue_count,
                "void": found.void_count,
            }
        )
        for month in found.removed_months:
            self.stdout.write(
                _("%(month)s: the calls' records were removed; postings and totals stand for them.")
                % {"month": f"{month:%Y-%m}"}
            )
        self.stdout.write(f"\n{_('Account'):<52}{_('Debit'):>24}{_('Credit'):>24}")
        for balance in found.balances:
            self._write_sums(balance.account, balance.debit_nanos, balance.credit_nanos)
        self._write_sums(_("All"), found.debit_nanos, found.credit_nanos)
        self.stdout.write("")
        for difference in found.differences:
            self.stdout.write(difference.words)
        for problem, how_many in found.counts.items():
            self.stdout.write(f"{problem}: {how_many}")
        self.stdout.write(_("The books agree.") if found.is_clean else _("The books do not agree."))

    def _write_sums(self, name: str, debit_nanos: int, credit_nanos: int) -> None:
        debit, credit = (f"{in_units(nanos):.9f}" for nanos in (debit_nanos, credit_nanos))
        self.stdout.write(f"{name:<52}{debit:>24}{credit:>24} {CURRENCY_SYMBOL}")


def _as_json(found: Reconciliation) -> dict[str, Any]:
    return {
        **asdict(found),
        "debit_nanos": found.debit_nanos,
        "credit_nanos": found.credit_nanos,
        "is_clean": found.is_clean,
        "counts": found.counts,
        "differences": [{**asdict(one), "words": one.words} for one in found.differences],
    }
