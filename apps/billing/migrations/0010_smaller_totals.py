"""Totals small enough for every screen over ten million calls, and the indexes its lists are read by.

The functions take over from those of migration 0007, which are dropped: a worker of before that added calls by them would
leave the new tables behind.
"""

from importlib import import_module

from django.conf import settings
from django.db import migrations, models

before = import_module("apps.billing.migrations.0007_rollups")

KIND = "product, purpose, provider_code, model_code, tags"
# In the order in which every batch fills them, so that two can't wait for each other.
TABLES = {
    **before.TABLES,
    "billing_departmenthourcost": ("hour", "department_id"),
    "billing_organisationcost": ("day", KIND),
    "billing_membercost": ("month", "department_id, user_id"),
    "billing_personweekcost": ("week", f"{before.DIMENSIONS}, user_id"),
}
SOURCES = {
    **before.SOURCES,
    "billing_departmenthourcost": "billing_hourlycost",
    "billing_organisationcost": "billing_dailycost",
    "billing_membercost": "billing_persondaycost",
    "billing_personweekcost": "billing_personcost",
}
WEEK, MONTH = (f"date_trunc('{unit}', starts_at, v_zone)" for unit in ("week", "month"))


def cut(sql):
    """Return the SQL with weeks that are cut where a month begins, so that a month's are its own."""
    return sql.replace(WEEK, f"greatest({WEEK}, {MONTH})")


def rolls_up(version, tables):
    """Return the function that adds a batch to these tables."""
    sums = ", ".join(f"sum({one}) AS {one}" for one in before.SUMS.split(", "))
    return f"""
CREATE FUNCTION billing_roll_up_v{version}(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
    v_costs billing_cost_v1[];
    v_call_count integer;
BEGIN
    PERFORM pg_advisory_xact_lock_shared({before.LOCK});
    WITH taken AS (
        SELECT id FROM billing_reservation WHERE state = 'SETTLED' AND NOT is_rolled_up
        ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE billing_reservation AS reservation SET is_rolled_up = true
        FROM taken WHERE reservation.id = taken.id
        RETURNING reservation.id, reservation.created_at
    ), sums AS (
        SELECT date_trunc('hour', call.created_at, v_zone) AS starts_at, {before.DIMENSIONS}, user_id, {sums}
        FROM marked CROSS JOIN LATERAL (
            -- Not flattened: each call is looked up by its key in its own month's table, whatever is estimated.
            SELECT * FROM billing_call_cost_v1 AS cost
            WHERE cost.id = marked.id AND cost.created_at = marked.created_at OFFSET 0
        ) AS call
        GROUP BY 1, {before.DIMENSIONS}, user_id
    )
    SELECT array_agg((starts_at, {before.DIMENSIONS}, user_id, {before.SUMS})::billing_cost_v1), sum(call_count)
        INTO v_costs, v_call_count FROM sums;
    IF v_costs IS NULL THEN
        RETURN 0;
    END IF;
    {"".join(before.upsert(table, *how) for table, how in tables.items())}
    RETURN v_call_count;
END $$;
"""  # noqa: S608 - names are this file's own


def difference(table, dimensions):
    """Return the query that counts a table's rows that are not what the calls add up to, and the amount they are off."""
    key = f"starts_at, {dimensions}"
    sums = before.SUMS.split(", ")
    off = ", ".join(f"sum({one}) AS {one}" for one in sums)
    differs = " OR ".join(f"sum({one}) <> 0" for one in sums)
    minus = ", ".join(f"-{one}" for one in sums)
    return f"""
    SELECT '{table.removeprefix("billing_")}'::text, count(*), coalesce(sum(abs(amount_nanos)), 0)::bigint FROM (
        SELECT {off} FROM (
            SELECT {key}, {before.SUMS} FROM made_{table}
            UNION ALL
            SELECT {key}, {minus} FROM {table} WHERE starts_at >= p_starts_at AND starts_at < p_ends_at
        ) AS both_sides GROUP BY {key} HAVING {differs}
    ) AS off"""  # noqa: S608 - names are this file's own


def compares(version, tables, sources):
    """Return the function that compares; one statement, hence one snapshot: right while calls settle."""
    made = ", ".join(
        f"made_{table} AS MATERIALIZED ("
        + before.named(*tables[table], source if source == "calls" else f"made_{source}")
        + ")"
        for table, source in sources.items()
    )
    return f"""
CREATE FUNCTION billing_cost_differences_v{version}(p_starts_at timestamptz, p_ends_at timestamptz)
RETURNS TABLE (total_name text, difference_count bigint, off_nanos bigint) LANGUAGE sql STABLE AS $$
    WITH zone AS ({before.ZONED}), calls AS (SELECT *, created_at AS starts_at {before.COUNTED}), {made}
    {" UNION ALL ".join(difference(table, how[1]) for table, how in tables.items())};
$$;
"""


def remade(table, unit, dimensions, source):
    """Return the statements that throw a table's span away and make it again, in the order of its index."""
    rows = (
        f"(SELECT *, created_at AS starts_at {before.COUNTED}) AS calls"
        if source == "calls"
        else f"{source} AS source WHERE starts_at >= p_starts_at AND starts_at < p_ends_at"
    )
    return f"""
    DELETE FROM {table} WHERE starts_at >= p_starts_at AND starts_at < p_ends_at;
    INSERT INTO {table} (starts_at, {dimensions}, {before.SUMS}) {before.summed(unit, dimensions, rows)}
        ORDER BY 1, {dimensions};
    GET DIAGNOSTICS v_row_count = ROW_COUNT;
    v_rows := v_rows + v_row_count;
"""  # noqa: S608 - names are this file's own


def remakes(version, tables, sources):
    """Return the function that makes a span's totals anew."""
    return f"""
CREATE FUNCTION billing_remake_costs_v{version}(p_starts_at timestamptz, p_ends_at timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_zone text := (SELECT time_zone FROM billing_book);
    v_row_count bigint;
    v_rows bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock({before.LOCK});
    IF NOT billing_has_detail_v1(p_starts_at, p_ends_at) THEN
        RAISE EXCEPTION 'the calls of this month are removed: its totals are all there is' USING ERRCODE = 'PB003';
    END IF;
    {"".join(remade(table, *tables[table], source) for table, source in sources.items())}
    RETURN v_rows;
END $$;
"""  # noqa: S608 - names are this file's own


DROP = """
DROP FUNCTION billing_roll_up_v{0};
DROP FUNCTION billing_cost_differences_v{0};
DROP FUNCTION billing_remake_costs_v{0};
"""


def filled(table):
    """Return the statement that fills a new table from the totals there are."""
    unit, dimensions = TABLES[table]
    rows = f"{SOURCES[table]} AS source, (SELECT time_zone AS v_zone FROM billing_book) AS zone"
    return (
        f"INSERT INTO {table} (starts_at, {dimensions}, {before.SUMS})"  # noqa: S608 - names are this file's own
        f" {before.summed(unit, dimensions, rows)} ORDER BY 1, {dimensions};"
    )


NEW = [table for table in TABLES if table not in before.TABLES]
FILL = f"SELECT pg_advisory_xact_lock({before.LOCK});" + "".join(filled(table) for table in NEW)
FUNCTIONS = (
    rolls_up(2, TABLES)
    + compares(2, TABLES, SOURCES)
    + remakes(2, TABLES, SOURCES)
    + DROP.format(1)
)
UNDO = before.ROLL_UP + before.DIFFERENCES + before.REMAKE + DROP.format(2)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_api_key"),
        ("billing", "0009_late_savings"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DepartmentHourCost",
            fields=[
                *before.key_fields(),
                *before.sum_fields(),
                ("department", before.protected("accounts.department")),
            ],
            options={
                "verbose_name": "cost by department and hour",
                "verbose_name_plural": "costs by department and hour",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("starts_at", "department"), name="department_hour_cost_once"
                    )
                ],
                "indexes": [
                    models.Index(fields=["department", "starts_at"], name="department_hour_cost_of")
                ],
            },
        ),
        migrations.CreateModel(
            name="MemberCost",
            fields=[
                *before.key_fields(),
                *before.sum_fields(),
                ("department", before.protected("accounts.department")),
                ("user", before.protected(settings.AUTH_USER_MODEL, null=True)),
            ],
            options={
                "verbose_name": "cost by person and month",
                "verbose_name_plural": "costs by person and month",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("starts_at", "department", "user"),
                        name="member_cost_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="OrganisationCost",
            fields=[
                field
                for field in before.total_fields()
                if field[0] not in {"department", "api_key"}
            ],
            options={
                "verbose_name": "cost of the organisation",
                "verbose_name_plural": "costs of the organisation",
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            *("starts_at", "product", "purpose"),
                            *("provider_code", "model_code", "tags"),
                        ),
                        name="organisation_cost_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonWeekCost",
            fields=[
                *before.total_fields(),
                ("user", before.protected(settings.AUTH_USER_MODEL, null=True)),
            ],
            options={
                "verbose_name": "weekly cost by person",
                "verbose_name_plural": "weekly costs by person",
                "constraints": [
                    models.UniqueConstraint(
                        fields=(*before.KEY, "user"),
                        name="person_week_cost_once",
                        nulls_distinct=False,
                    )
                ],
                "indexes": [models.Index(fields=["starts_at"], name="person_week_cost_week")],
            },
        ),
        migrations.RemoveIndex(model_name="ledgerentry", name="ledger_booked_brin"),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["booked_at"], name="ledger_booked"),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["department", "booked_at"], name="ledger_department"),
        ),
        migrations.AddIndex(
            model_name="reservation",
            index=models.Index(
                fields=["id"], condition=models.Q(state="VOID"), name="reservation_void"
            ),
        ),
        migrations.RunSQL(cut(FUNCTIONS + FILL), UNDO),
    ]
