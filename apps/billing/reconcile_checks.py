"""What must hold of the books, as SQL that returns the exceptions: set-based, each large table read once a query.

Every query gives rows (problem, subject, expected, found); the problems' words are in `PROBLEMS`.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrPromise

from apps.billing.reconcile_totals import TOTALS


@dataclass(frozen=True, slots=True)
class Problem:
    """How a difference is told; `is_money`: its two figures are nanos."""

    words: StrPromise
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
    "total_calls": Problem(
        _("Totals %(subject)s: records are of %(expected)s calls, totals of %(found)s.")
    ),
    "total_tokens": Problem(
        _("Totals %(subject)s: records have %(expected)s tokens, totals %(found)s.")
    ),
    "total_amount": Problem(
        _("Totals %(subject)s: records cost %(expected)s, totals say %(found)s."), is_money=True
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
    SELECT account, sum(side.debit)::numeric, sum(side.credit)::numeric
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

# The months (of UTC, as the partitions are) whose records retention has removed: their postings and totals stay.
# OFFSET 0: each month is asked about once, not each hour of it.
REMOVED_MONTHS = """
    SELECT month FROM (
        SELECT DISTINCT date_trunc('month', starts_at, 'UTC') AS month FROM billing_departmenthourcost OFFSET 0
    ) AS known
    WHERE NOT billing_has_detail_v1(month, month + interval '1 month') ORDER BY month
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
        WHEN record.id IS NULL AND date_trunc('month', call.created_at, 'UTC') <> ALL (%(removed)s::timestamptz[])
            THEN 'settled_without_record'
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

# Who a budget period is of, for people.
_NAMED_PERIODS = """
    SELECT period.id, concat_ws(' · ', coalesce(nullif(concat_ws(' · ', department.name, person.email, key.name), ''), '*'),
        lower(budget.period), to_char(period.starts_at AT TIME ZONE %(zone)s, 'YYYY-MM-DD')) AS subject
    FROM billing_budgetperiod AS period JOIN billing_budget AS budget ON budget.id = period.budget_id
    LEFT JOIN accounts_department AS department ON department.id = budget.department_id
    LEFT JOIN accounts_user AS person ON person.id = budget.user_id
    LEFT JOIN accounts_apikey AS key ON key.id = budget.api_key_id
"""

# What the calls of each budget's periods cost by the postings. Calls are summed by day once, then for each kind of
# budget (of a department, a person, a key, any two, all three, everybody), so that no budget is compared with each call.
BUDGETS_SPENT = f"""
    WITH call_cost AS MATERIALIZED (
        SELECT date_trunc('day', call.created_at, %(zone)s) AS day, call.department_id, call.user_id, call.api_key_id,
            sum(CASE WHEN entry.credit LIKE 'provider:%%' THEN entry.amount_nanos ELSE -entry.amount_nanos END) AS nanos
        FROM billing_ledgerentry AS entry JOIN billing_reservation AS call ON call.id = entry.reservation_id
        WHERE entry.kind <> 'CORRECTION'
        GROUP BY 1, 2, 3, 4
    ), shape AS (
        SELECT day, sum(nanos) AS nanos,
            CASE WHEN grouping(department_id) = 1 THEN %(any)s ELSE department_id END AS department_id,
            CASE WHEN grouping(user_id) = 1 THEN %(any)s ELSE user_id END AS user_id,
            CASE WHEN grouping(api_key_id) = 1 THEN %(any)s ELSE api_key_id END AS api_key_id
        FROM call_cost GROUP BY day, CUBE (call_cost.department_id, call_cost.user_id, call_cost.api_key_id)
        HAVING (grouping(user_id) = 1 OR user_id IS NOT NULL) AND (grouping(api_key_id) = 1 OR api_key_id IS NOT NULL)
    ), counted AS (
        SELECT period.id, period.spent_nanos AS found, coalesce(sum(shape.nanos), 0) AS expected
        FROM billing_budgetperiod AS period JOIN billing_budget AS budget ON budget.id = period.budget_id
        LEFT JOIN shape ON shape.department_id = coalesce(budget.department_id, %(any)s)
            AND shape.user_id = coalesce(budget.user_id, %(any)s)
            AND shape.api_key_id = coalesce(budget.api_key_id, %(any)s)
            AND shape.day >= period.starts_at AND (period.ends_at IS NULL OR shape.day < period.ends_at)
        WHERE NOT period.has_gaps
        GROUP BY period.id
    )
    SELECT 'budget_spent' AS problem, named.subject, expected, found::numeric
    FROM counted JOIN ({_NAMED_PERIODS}) AS named USING (id) WHERE expected <> found
"""  # noqa: S608 - made of the constants above

BUDGETS_RESERVED = f"""
    WITH held AS (
        SELECT period_id AS id, sum(max_nanos) AS nanos
        FROM billing_reservation CROSS JOIN LATERAL unnest(period_ids) AS period_id
        WHERE state = 'OPEN' GROUP BY period_id
    )
    SELECT 'budget_reserved' AS problem, coalesce(named.subject, id::text) AS subject,
        coalesce(held.nanos, 0) AS expected, coalesce(period.reserved_nanos, 0)::numeric AS found
    FROM billing_budgetperiod AS period FULL JOIN held USING (id) LEFT JOIN ({_NAMED_PERIODS}) AS named USING (id)
    WHERE coalesce(held.nanos, 0) <> coalesce(period.reserved_nanos, 0)
"""  # noqa: S608 - made of the constants above

# A statement says what the ledger books into its month; corrections of later months are in theirs.
STATEMENTS = """
    WITH booked AS (
        SELECT month.id AS month_id, entry.department_id,
            coalesce(sum(entry.amount_nanos) FILTER (WHERE entry.kind IN ('SETTLEMENT', 'EXCESS')), 0) AS usage,
            coalesce(sum(
                CASE entry.debit WHEN 'department:' || entry.department_id THEN entry.amount_nanos
                ELSE -entry.amount_nanos END
            ) FILTER (WHERE entry.kind IN ('TRUE_UP', 'CORRECTION')), 0) AS adjustments
        FROM billing_monthclose AS month
        JOIN billing_ledgerentry AS entry ON entry.booked_at >= month.starts_at AND entry.booked_at < month.ends_at
        GROUP BY 1, 2
    ), stated AS (
        SELECT statement.*,
            (SELECT coalesce(sum((line ->> 'amount_nanos')::numeric), 0) FROM jsonb_array_elements(lines) AS line)
                AS lines_nanos,
            (SELECT coalesce(sum((line ->> 'amount_nanos')::numeric), 0) FROM jsonb_array_elements(adjustments) AS line)
                AS adjustment_lines_nanos,
            (SELECT coalesce(sum((line ->> 'amount_nanos')::numeric), 0) FROM jsonb_array_elements(shared) AS line)
                AS shared_lines_nanos
        FROM billing_statement AS statement
    )
    SELECT told.problem, concat_ws(' ', department.name, to_char(month.starts_at AT TIME ZONE %(zone)s, 'YYYY-MM'))
        AS subject, told.expected, told.found
    FROM booked FULL JOIN stated USING (month_id, department_id)
    JOIN billing_monthclose AS month ON month.id = month_id
    JOIN accounts_department AS department ON department.id = department_id
    CROSS JOIN LATERAL (VALUES
        ('statement_missing', booked.usage + booked.adjustments, CASE WHEN stated.id IS NULL THEN 0 END::numeric),
        ('statement_usage', coalesce(booked.usage, 0), stated.usage_nanos),
        ('statement_adjustments', coalesce(booked.adjustments, 0), stated.adjustments_nanos),
        ('statement_lines', lines_nanos, stated.usage_nanos),
        ('statement_lines', adjustment_lines_nanos, stated.adjustments_nanos),
        ('statement_lines', shared_lines_nanos, stated.shared_nanos),
        ('statement_lines', stated.usage_nanos + stated.adjustments_nanos + stated.shared_nanos, stated.total_nanos)
    ) AS told (problem, expected, found)
    WHERE told.expected <> told.found
"""

CHECKS = (CALLS, ENTRIES, BUDGETS_SPENT, BUDGETS_RESERVED, TOTALS, STATEMENTS)
