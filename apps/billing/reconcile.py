"""Proves the books: entries balance, counters and totals are what was posted, each call ended once. Repairs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.billing import calendar
from apps.billing.reconcile_checks import (
    BALANCES,
    CHECKS,
    COUNTS,
    PROBLEMS,
    REMOVED_MONTHS,
)
from apps.core.money import CURRENCY_SYMBOL, in_units

EXAMPLES = 20
# Stands for "of any department, person or key" where SQL joins by equality.
ANY = UUID(int=0)
# For sorts and hashes over some millions of rows; one connection, for as long as it takes.
WORK_MEMORY = "256MB"

SNAPSHOT = f"""
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = 0;
    SET LOCAL work_mem = '{WORK_MEMORY}';
"""
EXCEPTIONS = """
    SELECT problem, subject, expected, found, how_many FROM (
        SELECT *, count(*) OVER (PARTITION BY problem) AS how_many,
            row_number() OVER (PARTITION BY problem ORDER BY subject) AS position
        FROM ({check}) AS checked WHERE problem IS NOT NULL
    ) AS numbered WHERE position <= {examples} ORDER BY problem, subject
"""


@dataclass(frozen=True, slots=True)
class Balance:
    """What one account was debited and credited in all."""

    account: str
    debit_nanos: int
    credit_nanos: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be; `how_many` are alike, of which some are told."""

    problem: str
    subject: str
    expected: int | None
    found: int | None
    how_many: int

    @property
    def words(self) -> str:
        """Say it."""
        problem = PROBLEMS[self.problem]
        shown = _exactly if problem.is_money else str
        return str(problem.words) % {
            "subject": self.subject,
            "expected": shown(self.expected or 0),
            "found": shown(self.found or 0),
        }


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The books at one moment. `overdue_count`: calls whose process died and that the reaper has not settled yet.

    `removed_months`: those whose usage records retention removed; their calls are proved by postings alone.
    """

    checked_at: datetime
    entry_count: int
    call_count: int
    open_count: int
    void_count: int
    overdue_count: int
    removed_months: Sequence[datetime]
    balances: Sequence[Balance]
    differences: Sequence[Difference]

    @property
    def debit_nanos(self) -> int:
        """Sum the debits of all accounts."""
        return sum(balance.debit_nanos for balance in self.balances)

    @property
    def credit_nanos(self) -> int:
        """Sum the credits of all accounts."""
        return sum(balance.credit_nanos for balance in self.balances)

    @property
    def counts(self) -> dict[str, int]:
        """Return how often each problem occurs."""
        return {one.problem: one.how_many for one in self.differences}

    @property
    def is_clean(self) -> bool:
        """Say whether nothing is amiss."""
        return not self.differences and self.debit_nanos == self.credit_nanos


def reconcile() -> Reconciliation:
    """Compare postings, calls, records, budget counters, totals and statements, all as of one moment.

    Reads every call a few times (set-based, minutes at tens of millions) and writes nothing; not inside a transaction.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(SNAPSHOT)
        return as_seen_now()


def as_seen_now() -> Reconciliation:
    """Reconcile what the transaction one is in sees."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        [checked_at] = cursor.fetchone()
        cursor.execute(COUNTS)
        entry_count, call_count, open_count, void_count, overdue_count = cursor.fetchone()
        cursor.execute(BALANCES)
        balances = [Balance(name, int(debit), int(credit)) for name, debit, credit in cursor]
        cursor.execute(REMOVED_MONTHS)
        removed_months = [month for [month] in cursor]
        values = {"zone": calendar.zone().key, "any": ANY, "removed": removed_months}
        differences = [one for check in CHECKS for one in _exceptions(cursor, check, values)]
    return Reconciliation(
        checked_at=checked_at,
        entry_count=entry_count,
        call_count=call_count,
        open_count=open_count,
        void_count=void_count,
        overdue_count=overdue_count,
        removed_months=removed_months,
        balances=balances,
        differences=differences,
    )


def _exceptions(cursor: CursorWrapper, check: str, values: dict[str, Any]) -> list[Difference]:
    cursor.execute(EXCEPTIONS.format(check=check, examples=EXAMPLES), values)
    return [
        Difference(problem, subject, _whole(expected), _whole(found), how_many)
        for problem, subject, expected, found, how_many in cursor
    ]


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)


def _exactly(nanos: int) -> str:
    """Return an amount to the last nano: a proof that rounds proves nothing."""
    return f"{in_units(nanos):.9f} {CURRENCY_SYMBOL}"
