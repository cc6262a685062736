"""What must hold of the books, as SQL that returns the exceptions: set-based, each large table read once a query.

Every query gives rows (problem, subject, expected, found); the problems' words are in `PROBLEMS`.
"""

from dataclasses import dataclass

from django.utils.functional import _StrPromise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Problem:
    """How a difference is told; `is_money`: its two figures are nanos."""

    words: _StrPromise
    is_money: bool = False


PROBLEMS: dict[str, Problem] = {
    "settled_without_record": Problem(_("Call %(subject)s is settled but has no usage record.")),
    "record_without_call": Problem(_("Usage record %(subject)s belongs to no call.")),
    "record_of_unsettled": Problem(_("Call %(subject)s is not settled but has a usage record.")),
    "record_of_other": Problem(
        _("Usage record %(subject)s names another payer or provider than its call.")
    ),
    "settled_without_entry": Problem(_("Call %(subject)s is settled but nothing is posted.")),
    "entry_without_call": Problem(_("A posting names call %(subject)s, which does not exist.")),
    "entry_of_unsettled": Problem(_("Call %(subject)s is not settled but a posting names it.")),
    "entry_of_other": Problem(_("Call %(subject)s is posted to other accounts than its own.")),
    "entry_at_other_time": Problem(
        _("Call %(subject)s is booked for another moment than its opening.")
    ),
    "entry_amount": Problem(
        _("Call %(subject)s cost %(expected)s but %(found)s are posted."), is_money=True
    ),
    "entry_split": Problem(
        _("Call %(subject)s: %(expected)s belong in its settlement, %(found)s are there."),
        is_money=True,
    ),
    "call_state": Problem(_("Call %(subject)s has an end though it is open, or none though not.")),
    "call_rolled_up": Problem(_("Call %(subject)s is in the totals but is not settled.")),
    "correction_accounts": Problem(
        _("Correction %(subject)s moves nothing from or to its own department.")
    ),
    "budget_spent": Problem(
        _("Budget %(subject)s: its calls cost %(expected)s, %(found)s are counted as spent."),
        is_money=True,
    ),
    "budget_reserved": Problem(
        _("Budget %(subject)s: open calls hold %(expected)s, %(found)s are counted as held."),
        is_money=True,
    ),
    "hourly_total": Problem(
        _("Hourly totals of %(subject)s: records say %(expected)s, totals say %(found)s.")
    ),
    "daily_total": Problem(
        _("Daily totals of %(subject)s: records say %(expected)s, totals say %(found)s.")
    ),
    "person_total": Problem(
        _("Totals by person of %(subject)s: records say %(expected)s, totals say %(found)s.")
    ),
    "statement_usage": Problem(
        _("Statement %(subject)s: records add up to %(expected)s, it says %(found)s of usage."),
        is_money=True,
    ),
    "statement_adjustments": Problem(
        _("Statement %(subject)s: corrections add up to %(expected)s, it says %(found)s."),
        is_money=True,
    ),
    "statement_lines": Problem(
        _("Statement %(subject)s: its lines add up to %(expected)s, its total is %(found)s."),
        is_money=True,
    ),
    "statement_missing": Problem(
        _("Statement %(subject)s is missing; %(expected)s were spent."), is_money=True
    ),
}

BALANCES = """
    SELECT account, sum(debit)::numeric, sum(credit)::numeric
    FROM (SELECT debit, credit, sum(amount_nanos) AS nanos FROM billing_ledgerentry GROUP BY debit, credit) AS pair
    CROSS JOIN LATERAL (VALUES (pair.debit, nanos, 0), (pair.credit, 0, nanos)) AS side (account, debit, credit)
    GROUP BY account ORDER BY account
"""

COUNTS = """
    SELECT (SELECT count(*) FROM billing_ledgerentry), count(*), count(*) FILTER (WHERE state = 'OPEN'),
        count(*) FILTER (WHERE state = 'VOID'),
        count(*) FILTER (WHERE state = 'OPEN' AND expires_at < now())
    FROM billing_reservation
"""

# The first problem of each call. Records and settlements join by id, so one too many is without a call.
CALLS = """
    SELECT CASE
        WHEN call.id IS NULL AND record.id IS NOT NULL THEN 'record_without_call'
        WHEN call.id IS NULL THEN 'entry_without_call'
        WHEN (call.state = 'OPEN') <> (call.settled_at IS NULL) THEN 'call_state'
        WHEN call.state <> 'SETTLED' AND record.id IS NOT NULL THEN 'record_of_unsettled'
        WHEN call.state <> 'SETTLED' AND entry.id IS NOT NULL THEN 'entry_of_unsettled'
        WHEN call.state <> 'SETTLED' AND call.is_rolled_up THEN 'call_rolled_up'
        WHEN call.state <> 'SETTLED' THEN NULL
        WHEN record.id IS NULL THEN 'settled_without_record'
        WHEN (record.department_id, record.provider_code) <> (call.department_id, call.provider_code)
            OR record.user_id IS DISTINCT FROM call.user_id OR record.api_key_id IS DISTINCT FROM call.api_key_id
            THEN 'record_of_other'
        WHEN entry.id IS NULL THEN 'settled_without_entry'
        WHEN entry.department_id <> call.department_id OR entry.debit <> 'department:' || call.department_id
            OR entry.credit <> 'provider:' || call.provider_code THEN 'entry_of_other'
        WHEN entry.booked_at <> call.created_at THEN 'entry_at_other_time'
        WHEN entry.amount_nanos + coalesce(excess.amount_nanos, 0) <> record.amount_nanos THEN 'entry_amount'
        WHEN entry.amount_nanos <> least(record.amount_nanos, call.max_nanos) THEN 'entry_split'
        WHEN excess.id IS NOT NULL AND (excess.debit <> 'overdraft:' || call.department_id
            OR excess.credit <> entry.credit OR excess.booked_at <> call.created_at) THEN 'entry_of_other'
        END AS problem,
        coalesce(call.id, record.id, entry.reservation_id)::text AS subject,
        CASE WHEN entry.amount_nanos + coalesce(excess.amount_nanos, 0) <> record.amount_nanos
            THEN record.amount_nanos ELSE least(record.amount_nanos, call.max_nanos) END::numeric AS expected,
        CASE WHEN entry.amount_nanos + coalesce(excess.amount_nanos, 0) <> record.amount_nanos
            THEN entry.amount_nanos + coalesce(excess.amount_nanos, 0) ELSE entry.amount_nanos END::numeric AS found
    FROM billing_reservation AS call
    FULL JOIN billing_usagerecord AS record ON record.id = call.id AND record.created_at = call.created_at
    FULL JOIN (SELECT * FROM billing_ledgerentry WHERE kind = 'SETTLEMENT') AS entry
        ON entry.reservation_id = coalesce(call.id, record.id)
    LEFT JOIN billing_ledgerentry AS excess ON excess.kind = 'EXCESS' AND excess.reservation_id = call.id
"""

# Postings other than settlements are few: those that name a call need a settled one.
ENTRIES = """
    SELECT CASE
        WHEN entry.kind <> 'CORRECTION' AND call.id IS NULL
            OR entry.reservation_id IS NOT NULL AND call.id IS NULL THEN 'entry_without_call'
        WHEN entry.kind <> 'CORRECTION' AND call.state <> 'SETTLED' THEN 'entry_of_unsettled'
        WHEN entry.kind <> 'EXCESS' AND 'department:' || entry.department_id NOT IN (entry.debit, entry.credit)
            THEN 'correction_accounts'
        END AS problem,
        CASE WHEN entry.kind = 'CORRECTION' AND (entry.reservation_id IS NULL OR call.id IS NOT NULL)
            THEN entry.id::text ELSE coalesce(entry.reservation_id, entry.id)::text END AS subject,
        NULL::numeric AS expected, NULL::numeric AS found
    FROM billing_ledgerentry AS entry LEFT JOIN billing_reservation AS call ON call.id = entry.reservation_id
    WHERE entry.kind <> 'SETTLEMENT'
"""
