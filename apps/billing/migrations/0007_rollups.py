"""Cost totals: their monthly tables, and the functions that add calls to them, remake them and compare them."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What one call adds to every total: the one place that says how meters become input and output.
COST = """
CREATE VIEW billing_call_cost_v1 AS
SELECT id, created_at, department_id, api_key_id, product, purpose, provider_code, model_code, tags, user_id,
    1 AS call_count,
    input_tokens + cached_input_tokens + cache_write_tokens + embedding_tokens + batch_input_tokens AS input_tokens,
    cached_input_tokens,
    output_tokens + batch_output_tokens AS output_tokens,
    amount_nanos
FROM billing_usagerecord;

-- Sums of calls on their way into the tables.
CREATE TYPE billing_cost_v1 AS (
    starts_at timestamptz, department_id uuid, api_key_id uuid, product varchar, purpose varchar,
    provider_code varchar, model_code varchar, tags varchar[], user_id uuid,
    call_count bigint, input_tokens bigint, cached_input_tokens bigint, output_tokens bigint, amount_nanos bigint
);
"""

# Whoever remakes totals holds this alone, whoever adds to them holds it with others.
LOCK = "hashtext('billing_totals')"

DIMENSIONS = "department_id, api_key_id, product, purpose, provider_code, model_code, tags"
SUMS = "call_count, input_tokens, cached_input_tokens, output_tokens, amount_nanos"
# In the order in which every batch fills them, so that two can't wait for each other.
TABLES = {
    "billing_departmentcost": ("day", "department_id"),
    "billing_hourlycost": ("hour", DIMENSIONS),
    "billing_dailycost": ("day", DIMENSIONS),
    "billing_personcost": ("day", f"{DIMENSIONS}, user_id"),
    "billing_persondaycost": ("day", "department_id, user_id"),
    "billing_monthlycost": ("month", DIMENSIONS),
    "billing_personmonthlycost": ("month", f"{DIMENSIONS}, user_id"),
}


def summed(unit, dimensions, source):
    """Return the query that sums `source` by the hour, day or month and these dimensions."""
    sums = ", ".join(f"sum({one})" for one in SUMS.split(", "))
    return f"""SELECT date_trunc('{unit}', starts_at, v_zone), {dimensions}, {sums}
        FROM {source} GROUP BY 1, {dimensions}"""  # noqa: S608 - names are this file's own


def upsert(table, unit, dimensions):
    """Return the statement that adds the batch's sums to a table, its rows in the order of their key."""
    added = ", ".join(f"{one} = total.{one} + excluded.{one}" for one in SUMS.split(", "))
    return f"""
    INSERT INTO {table} AS total (starts_at, {dimensions}, {SUMS})
        {summed(unit, dimensions, "unnest(v_costs)")} ORDER BY 1, {dimensions}
        ON CONFLICT (starts_at, {dimensions}) DO UPDATE SET {added};
"""


ROLL_UP = f"""
CREATE FUNCTION billing_roll_up_v1(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
    v_costs billing_cost_v1[];
    v_call_count integer;
BEGIN
    PERFORM pg_advisory_xact_lock_shared({LOCK});
    WITH taken AS (
        SELECT id FROM billing_reservation WHERE state = 'SETTLED' AND NOT is_rolled_up
        ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE billing_reservation AS reservation SET is_rolled_up = true
        FROM taken WHERE reservation.id = taken.id
        RETURNING reservation.id, reservation.created_at
    ), sums AS (
        SELECT date_trunc('hour', call.created_at, v_zone) AS starts_at, {DIMENSIONS}, user_id,
            {", ".join(f"sum({one}) AS {one}" for one in SUMS.split(", "))}
        FROM marked CROSS JOIN LATERAL (
            -- Not flattened: each call is looked up by its key in its own month's table, whatever is estimated.
            SELECT * FROM billing_call_cost_v1 AS cost
            WHERE cost.id = marked.id AND cost.created_at = marked.created_at OFFSET 0
        ) AS call
        GROUP BY 1, {DIMENSIONS}, user_id
    )
    SELECT array_agg((starts_at, {DIMENSIONS}, user_id, {SUMS})::billing_cost_v1), sum(call_count)
        INTO v_costs, v_call_count FROM sums;
    IF v_costs IS NULL THEN
        RETURN 0;
    END IF;
    {"".join(upsert(table, *how) for table, how in TABLES.items())}
    RETURN v_call_count;
END $$;
"""  # noqa: S608 - names are this file's own

# The detail of a month is gone where the totals know of more calls than are left: retention drops the month's partition,
# and what is settled into it later comes to the default one.
DETAIL = """
CREATE FUNCTION billing_has_detail_v1(p_starts_at timestamptz, p_ends_at timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_month timestamp := date_trunc('month', p_starts_at AT TIME ZONE 'UTC');
    v_starts_at timestamptz;
    v_ends_at timestamptz;
    v_counted bigint;
    v_is_whole boolean;
BEGIN
    WHILE v_month < p_ends_at AT TIME ZONE 'UTC' LOOP
        v_starts_at := v_month AT TIME ZONE 'UTC';
        v_ends_at := (v_month + interval '1 month') AT TIME ZONE 'UTC';
        v_month := v_month + interval '1 month';
        SELECT coalesce(sum(call_count), 0) INTO v_counted FROM billing_hourlycost
            WHERE starts_at >= v_starts_at AND starts_at < v_ends_at;
        IF to_regclass('billing_usagerecord_' || to_char(v_starts_at AT TIME ZONE 'UTC', 'YYYY_MM')) IS NULL THEN
            SELECT count(*) >= v_counted INTO v_is_whole FROM billing_usagerecord_default
                WHERE created_at >= v_starts_at AND created_at < v_ends_at + interval '1 hour';
        ELSE
            v_is_whole := v_counted = 0 OR EXISTS (
                SELECT FROM billing_usagerecord WHERE created_at >= v_starts_at AND created_at < v_ends_at
            );
        END IF;
        IF NOT v_is_whole THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;
"""

# All calls of the span but those that are still to be rolled up. The span begins and ends with months of the billing
# time zone.
COUNTED = """FROM billing_call_cost_v1 AS cost
        WHERE created_at >= p_starts_at AND created_at < p_ends_at AND NOT EXISTS (
            SELECT FROM billing_reservation AS reservation
            WHERE reservation.state = 'SETTLED' AND NOT reservation.is_rolled_up AND reservation.id = cost.id
        )"""

ZONED = "SELECT time_zone AS v_zone FROM billing_book"


def named(unit, dimensions, source):
    """Return a query like `summed` that keeps the columns' names, for use as a source itself."""
    sums = ", ".join(f"sum({one})::bigint AS {one}" for one in SUMS.split(", "))
    return f"""SELECT date_trunc('{unit}', starts_at, v_zone) AS starts_at, {dimensions}, {sums}
        FROM {source}, zone GROUP BY 1, {dimensions}"""  # noqa: S608 - names are this file's own


# Each from the nearest that is finer, so that the calls are read twice and not five times.
SOURCES = {
    "billing_hourlycost": "calls",
    "billing_personcost": "calls",
    "billing_dailycost": "billing_personcost",
    "billing_departmentcost": "billing_dailycost",
    "billing_persondaycost": "billing_personcost",
    "billing_personmonthlycost": "billing_personcost",
    "billing_monthlycost": "billing_personmonthlycost",
}


def difference(table):
    """Return the query that counts a table's rows that are not what the calls add up to, and the amount they are off."""
    _, dimensions = TABLES[table]
    key = f"starts_at, {dimensions}"
    off = [f"sum({one}) AS {one}" for one in SUMS.split(", ")]
    differs = " OR ".join(f"sum({one}) <> 0" for one in SUMS.split(", "))
    minus = ", ".join(f"-{one}" for one in SUMS.split(", "))
    return f"""
    SELECT '{table.removeprefix("billing_")}'::text, count(*), coalesce(sum(abs(amount_nanos)), 0)::bigint FROM (
        SELECT {", ".join(off)} FROM (
            SELECT {key}, {SUMS} FROM made_{table}
            UNION ALL
            SELECT {key}, {minus} FROM {table} WHERE starts_at >= p_starts_at AND starts_at < p_ends_at
        ) AS both_sides GROUP BY {key} HAVING {differs}
    ) AS off"""  # noqa: S608 - names are this file's own


# One statement, hence one snapshot: right while calls settle and are rolled up.
DIFFERENCES = f"""
CREATE FUNCTION billing_cost_differences_v1(p_starts_at timestamptz, p_ends_at timestamptz)
RETURNS TABLE (total_name text, difference_count bigint, off_nanos bigint) LANGUAGE sql STABLE AS $$
    WITH zone AS ({ZONED}),
    calls AS (SELECT *, created_at AS starts_at {COUNTED}),
    {
    ", ".join(
        f"made_{table} AS MATERIALIZED ("
        + named(*TABLES[table], source if source == "calls" else f"made_{source}")
        + ")"
        for table, source in SOURCES.items()
    )
}
    {" UNION ALL ".join(difference(table) for table in TABLES)};
$$;
"""


def remake(table):
    """Return the statements that throw a table's span away and make it again."""
    unit, dimensions = TABLES[table]
    source = SOURCES[table]
    rows = (
        f"(SELECT *, created_at AS starts_at {COUNTED}) AS calls"
        if source == "calls"
        else f"{source} AS source WHERE starts_at >= p_starts_at AND starts_at < p_ends_at"
    )
    return f"""
    DELETE FROM {table} WHERE starts_at >= p_starts_at AND starts_at < p_ends_at;
    INSERT INTO {table} (starts_at, {dimensions}, {SUMS}) {summed(unit, dimensions, rows)}
        -- In the order of its index, which then grows at its end.
        ORDER BY 1, {dimensions};
    GET DIAGNOSTICS v_row_count = ROW_COUNT;
    v_rows := v_rows + v_row_count;
"""  # noqa: S608 - names are this file's own


REMAKE = f"""
CREATE FUNCTION billing_remake_costs_v1(p_starts_at timestamptz, p_ends_at timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
    v_row_count bigint;
    v_rows bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock({LOCK});
    IF NOT billing_has_detail_v1(p_starts_at, p_ends_at) THEN
        RAISE EXCEPTION 'the calls of this month are removed: its totals are all there is' USING ERRCODE = 'PB003';
    END IF;
    {"".join(remake(table) for table in SOURCES)}
    RETURN v_rows;
END $$;
"""  # noqa: S608 - names are this file's own

UNDO = """
DROP FUNCTION billing_remake_costs_v1;
DROP FUNCTION billing_cost_differences_v1;
DROP FUNCTION billing_has_detail_v1;
DROP FUNCTION billing_roll_up_v1;
DROP TYPE billing_cost_v1;
DROP VIEW billing_call_cost_v1;
"""

PURPOSES = [
    ("ANSWER", "Answer"),
    ("QUERY_EMBEDDING", "Embedding of a question"),
    ("DOCUMENT_EMBEDDING", "Embedding of documents"),
    ("TITLE", "Title"),
    ("JUDGE", "Judging of an answer"),
    ("PING", "Check by an operator"),
    ("EVALUATION", "Evaluation"),
]
KEY = (
    "starts_at",
    "department",
    "api_key",
    "product",
    "purpose",
    "provider_code",
    "model_code",
    "tags",
)


def key_fields():
    """Return the fields every total begins with."""
    return [
        (
            "id",
            models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
            ),
        ),
        ("starts_at", models.DateTimeField(verbose_name="from")),
    ]


def sum_fields():
    """Return the sums every total has."""
    return [
        ("call_count", models.IntegerField(verbose_name="calls")),
        ("input_tokens", models.BigIntegerField(verbose_name="input tokens")),
        (
            "cached_input_tokens",
            models.BigIntegerField(verbose_name="of these from the provider's cache"),
        ),
        ("output_tokens", models.BigIntegerField(verbose_name="output tokens")),
        ("amount_nanos", models.BigIntegerField(verbose_name="amount")),
    ]


def total_fields():
    """Return the fields of a total by all dimensions but the person."""
    return [
        *key_fields(),
        ("product", models.CharField(max_length=40, verbose_name="product")),
        ("purpose", models.CharField(choices=PURPOSES, max_length=20, verbose_name="purpose")),
        ("provider_code", models.CharField(max_length=60, verbose_name="provider")),
        ("model_code", models.CharField(max_length=120, verbose_name="model")),
        (
            "tags",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40),
                default=list,
                size=None,
                verbose_name="tags",
            ),
        ),
        *sum_fields(),
        ("department", protected("accounts.department")),
        ("api_key", protected("accounts.apikey", null=True)),
    ]


def protected(to, *, null=False):
    """Return a foreign key without an index of its own."""
    return models.ForeignKey(
        db_index=False,
        null=null,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=to,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_api_key"),
        ("billing", "0006_ledger_and_budgets"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DepartmentCost",
            fields=[*key_fields(), *sum_fields(), ("department", protected("accounts.department"))],
            options={
                "verbose_name": "cost by department",
                "verbose_name_plural": "costs by department",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("starts_at", "department"), name="department_cost_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonDayCost",
            fields=[
                *key_fields(),
                *sum_fields(),
                ("department", protected("accounts.department")),
                ("user", protected(settings.AUTH_USER_MODEL, null=True)),
            ],
            options={
                "verbose_name": "cost by person and day",
                "verbose_name_plural": "costs by person and day",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("starts_at", "department", "user"),
                        name="person_day_cost_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MonthlyCost",
            fields=total_fields(),
            options={
                "verbose_name": "monthly cost",
                "verbose_name_plural": "monthly costs",
                "constraints": [
                    models.UniqueConstraint(
                        fields=KEY, name="monthly_cost_once", nulls_distinct=False
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonMonthlyCost",
            fields=[*total_fields(), ("user", protected(settings.AUTH_USER_MODEL, null=True))],
            options={
                "verbose_name": "monthly cost by person",
                "verbose_name_plural": "monthly costs by person",
                "constraints": [
                    models.UniqueConstraint(
                        fields=(*KEY, "user"), name="person_monthly_cost_once", nulls_distinct=False
                    )
                ],
                "indexes": [
                    models.Index(fields=["user", "starts_at"], name="person_monthly_cost_user")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="hourlycost",
            index=models.Index(fields=["department", "starts_at"], name="hourly_cost_department"),
        ),
        migrations.AddIndex(
            model_name="dailycost",
            index=models.Index(fields=["department", "starts_at"], name="daily_cost_department"),
        ),
        migrations.RunSQL(COST + ROLL_UP + DETAIL + DIFFERENCES + REMAKE, UNDO),
    ]
