"""That every table of totals says what the records add up to, as SQL that returns the exceptions (reconcile_checks.py)."""

# What each table is called, and whose its rows are: a department's, a person's, or nobody's.
TABLES = {
    "hour": ("billing_hourlycost", "department_id"),
    "hour and department": ("billing_departmenthourcost", "department_id"),
    "day": ("billing_dailycost", "department_id"),
    "day and department": ("billing_departmentcost", "department_id"),
    "day and kind": ("billing_organisationcost", "NULL::uuid"),
    "month": ("billing_monthlycost", "department_id"),
    "day and person": ("billing_personcost", "user_id"),
    "day and member": ("billing_persondaycost", "user_id"),
    "week and person": ("billing_personweekcost", "user_id"),
    "month and person": ("billing_personmonthlycost", "user_id"),
    "month and member": ("billing_membercost", "user_id"),
}
_NAMED = ", ".join(f"('{name}', '{owner}')" for name, (_table, owner) in TABLES.items())
# Summed table by table: together they have many millions of rows.
_FOUND = " UNION ALL ".join(
    f"SELECT '{name}' AS name, date_trunc('month', starts_at, %(zone)s) AS month, {owner} AS owner_id,"  # noqa: S608 - the names above
    " sum(call_count) AS calls, sum(input_tokens + output_tokens) AS tokens, sum(amount_nanos) AS nanos"
    f" FROM {table} GROUP BY 1, 2, 3"
    for name, (table, owner) in TABLES.items()
)

# By month, and department or person: all records but those not rolled up yet, against each table of totals.
TOTALS = f"""
    WITH record AS MATERIALIZED (
        SELECT date_trunc('month', created_at, %(zone)s) AS month, department_id, user_id, count(*) AS calls,
            sum(input_tokens + cached_input_tokens + cache_write_tokens + embedding_tokens + batch_input_tokens
                + output_tokens + batch_output_tokens) AS tokens,
            sum(amount_nanos) AS nanos
        FROM billing_usagerecord GROUP BY 1, 2, 3
        UNION ALL
        SELECT date_trunc('month', created_at, %(zone)s), record.department_id, record.user_id, -count(*),
            -sum(input_tokens + cached_input_tokens + cache_write_tokens + embedding_tokens + batch_input_tokens
                + output_tokens + batch_output_tokens),
            -sum(record.amount_nanos)
        FROM billing_reservation AS call JOIN billing_usagerecord AS record USING (id, created_at)
        WHERE call.state = 'SETTLED' AND NOT call.is_rolled_up GROUP BY 1, 2, 3
    ), expected AS (
        SELECT name, month,
            CASE owner WHEN 'user_id' THEN user_id WHEN 'department_id' THEN department_id END AS owner_id,
            sum(calls) AS calls, sum(tokens) AS tokens, sum(nanos) AS nanos
        FROM record CROSS JOIN (VALUES {_NAMED}) AS named (name, owner)
        GROUP BY 1, 2, 3
    ), found AS ({_FOUND})
    SELECT problem, concat_ws(' ', 'by', compared.name, to_char(month AT TIME ZONE %(zone)s, 'YYYY-MM'),
        coalesce(department.name, person.email, '-')) AS subject, told.expected, told.found
    FROM (
        SELECT coalesce(expected.name, found.name) AS name, coalesce(expected.month, found.month) AS month,
            coalesce(expected.owner_id, found.owner_id) AS owner_id,
            coalesce(expected.calls, 0) AS calls, coalesce(found.calls, 0) AS found_calls,
            coalesce(expected.tokens, 0) AS tokens, coalesce(found.tokens, 0) AS found_tokens,
            coalesce(expected.nanos, 0) AS nanos, coalesce(found.nanos, 0) AS found_nanos
        FROM expected FULL JOIN found ON found.name = expected.name AND found.month = expected.month
            AND coalesce(found.owner_id, %(any)s) = coalesce(expected.owner_id, %(any)s)
    ) AS compared
    CROSS JOIN LATERAL (VALUES
        ('total_calls', calls, found_calls), ('total_tokens', tokens, found_tokens), ('total_amount', nanos, found_nanos)
    ) AS told (problem, expected, found)
    LEFT JOIN accounts_department AS department ON department.id = owner_id
    LEFT JOIN accounts_user AS person ON person.id = owner_id
    WHERE told.expected <> told.found AND NOT EXISTS (
        SELECT FROM unnest(%(removed)s::timestamptz[]) AS removed
        WHERE removed < month + interval '32 days' AND removed + interval '32 days' > month
    )
"""  # noqa: S608 - made of the constants above
