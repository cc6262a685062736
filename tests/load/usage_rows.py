"""Millions of calls of an organisation, settled and posted as real ones are, written by SQL in minutes.

Calls come at office hours, few people make most of them, and each has what a call of its kind has: product, purpose,
model, key, tags. Amounts are those of the prices below, exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.accounts.models import ApiKey, Department, Membership, User
from apps.billing import calendar, saving_months
from apps.billing.costs import rollups, upkeep
from apps.billing.models import Reservation, Saving
from apps.core.ids import uuid7

BATCH_ROWS = 1_000_000
TABLES = ("billing_usagerecord", "billing_reservation", "billing_ledgerentry", "billing_saving")
TOTALS = (
    "billing_departmentcost",
    "billing_hourlycost",
    "billing_dailycost",
    "billing_personcost",
    "billing_persondaycost",
    "billing_monthlycost",
    "billing_personmonthlycost",
    "billing_departmenthourcost",
    "billing_organisationcost",
    "billing_membercost",
    "billing_personweekcost",
    "billing_savingmonth",
)


class NotEmptyError(Exception):
    """The database has calls already: it is somebody's."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is loaded; `waiting` of the newest calls are left for the totals to be added to."""

    rows: int = 10_000_000
    months: int = 13
    departments: int = 60
    people: int = 2000
    keys: int = 90
    waiting: int = 1000


# Prices are whole nanos a token, so that no amount needs rounding.
WORLD = """
CREATE TEMP TABLE load_department AS SELECT row_number() OVER (ORDER BY id) - 1 AS number, id FROM accounts_department;
CREATE TEMP TABLE load_person AS SELECT row_number() OVER (ORDER BY id) - 1 AS number, id FROM accounts_user;
CREATE TEMP TABLE load_key AS SELECT row_number() OVER (ORDER BY id) - 1 AS number, id, department_id, owner_id
    FROM accounts_apikey;
CREATE TEMP TABLE load_model (code text, provider_code text, input_price bigint, output_price bigint);
INSERT INTO load_model VALUES
    ('small', 'north', 150, 600), ('medium', 'north', 1100, 4400), ('large', 'south', 2500, 10000),
    ('embedder', 'north', 20, 0);
CREATE TEMP TABLE load_call (LIKE billing_usagerecord);
ANALYZE load_department; ANALYZE load_person; ANALYZE load_key;
SELECT setseed(0.25);
"""

# Each step draws what depends on the step before; MATERIALIZED, so that a drawn number is one number.
DRAW = """
TRUNCATE load_call;
INSERT INTO load_call (
    id, created_at, request_id, attempt, user_id, department_id, api_key_id, product, conversation_id, tags, purpose,
    outcome, provider_code, model_code, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
    embedding_tokens, batch_input_tokens, batch_output_tokens, audio_ms, is_estimated, amount_nanos, price_ids,
    elapsed_ms
)
WITH drawn AS MATERIALIZED (
    SELECT least(
            %(starts_at)s + floor(random() * %(days)s) * interval '1 day'
            + (ARRAY[0,3,6,7,7,8,8,8,9,9,9,9,10,10,10,10,11,11,11,12,12,13,13,13,14,14,14,14,15,15,15,16,16,16,17,17,18,
                19,20,22])[1 + floor(random() * 40)] * interval '1 hour' + random() * interval '1 hour',
            %(ends_at)s - interval '1 millisecond' * random()
        ) AS created_at,
        floor(%(people)s * random() * random())::bigint AS person, floor(%(keys)s * random() * random())::bigint AS key,
        random() AS one, random() AS two, random() AS three, random() AS four, md5(random()::text) AS hash
    FROM generate_series(1, %(count)s)
), kinds AS MATERIALIZED (
    SELECT *, CASE WHEN one < 0.8 THEN 'chat' WHEN one < 0.95 THEN 'api' ELSE 'documents' END AS product,
        CASE
            WHEN one >= 0.95 THEN 'DOCUMENT_EMBEDDING' WHEN one >= 0.8 OR two < 0.45 THEN 'ANSWER'
            WHEN two < 0.75 THEN 'QUERY_EMBEDDING' WHEN two < 0.9 THEN 'TITLE' ELSE 'JUDGE'
        END AS purpose
    FROM drawn ORDER BY created_at
), calls AS MATERIALIZED (
    SELECT *,
        -- A UUID of version 7, so that the indexes of ids grow at their ends, as with real calls.
        (lpad(to_hex(floor(extract(epoch FROM created_at) * 1000)::bigint), 12, '0') || '7' || substr(hash, 1, 3)
            || '8' || substr(hash, 4, 15))::uuid AS id,
        CASE
            WHEN purpose LIKE '%%EMBEDDING' THEN 'embedder' WHEN purpose <> 'ANSWER' OR three < 0.5 THEN 'small'
            WHEN three < 0.8 THEN 'medium' ELSE 'large'
        END AS model_code,
        CASE WHEN purpose LIKE '%%EMBEDDING' THEN 0 ELSE 200 + floor(three * four * 6000)::bigint END AS input_tokens,
        CASE WHEN purpose LIKE '%%EMBEDDING' THEN 20 + floor(four * 500)::bigint ELSE 0 END AS embedding_tokens,
        CASE purpose WHEN 'ANSWER' THEN floor(four * 900)::bigint WHEN 'TITLE' THEN 8 WHEN 'JUDGE' THEN 3 ELSE 0 END
            AS output_tokens
    FROM kinds
)
SELECT calls.id, created_at, calls.id, 1, CASE WHEN calls.product = 'api' THEN key.owner_id ELSE person.id END,
    CASE WHEN calls.product = 'api' THEN key.department_id ELSE department.id END,
    CASE WHEN calls.product = 'api' THEN key.id END, calls.product, NULL,
    CASE WHEN two < 0.75 THEN '{}' ELSE ARRAY['tag-' || person %% 4] END, purpose,
    CASE WHEN four < 0.02 THEN 'CANCELLED' WHEN four > 0.99 THEN 'FAILED' ELSE 'COMPLETED' END,
    model.provider_code, calls.model_code, input_tokens, 0, 0, output_tokens, embedding_tokens, 0, 0, 0, false,
    (input_tokens + embedding_tokens) * input_price + output_tokens * output_price, '{}', 300 + floor(one * 4000)
FROM calls
JOIN load_model AS model ON model.code = calls.model_code
JOIN load_person AS person ON person.number = calls.person
JOIN load_department AS department ON department.number = calls.person %% %(departments)s
JOIN load_key AS key ON key.number = calls.key
ORDER BY created_at;
"""

WRITE = """
INSERT INTO billing_usagerecord SELECT * FROM load_call;
INSERT INTO billing_reservation (
    id, request_id, attempt, user_id, department_id, api_key_id, product, conversation_id, tags, purpose, provider_code,
    model_code, max_nanos, max_input_tokens, max_output_tokens, input_meter, output_meter, period_ids, state,
    is_rolled_up, created_at, expires_at, settled_at
)
SELECT id, request_id, attempt, user_id, department_id, api_key_id, product, conversation_id, tags, purpose,
    provider_code, model_code, amount_nanos * 2, input_tokens + embedding_tokens, output_tokens * 2,
    CASE WHEN embedding_tokens > 0 THEN 'EMBEDDING' ELSE 'INPUT' END, 'OUTPUT', '{}', 'SETTLED', true, created_at,
    created_at + interval '30 minutes', created_at + elapsed_ms * interval '1 millisecond'
FROM load_call;
INSERT INTO billing_ledgerentry (
    id, kind, reservation_id, department_id, debit, credit, amount_nanos, booked_at, posted_at, reason
)
SELECT id, 'SETTLEMENT', id, department_id, 'department:' || department_id, 'provider:' || provider_code,
    amount_nanos, created_at, created_at + elapsed_ms * interval '1 millisecond', ''
FROM load_call;
INSERT INTO billing_saving (
    request_id, attempt, mechanism, department_id, user_id, saved_nanos, overhead_nanos, saved_ms, created_at
)
SELECT id, 0, CASE WHEN elapsed_ms %% 3 = 0 THEN 'SEMANTIC_CACHE' ELSE 'EXACT_CACHE' END, department_id,
    user_id, amount_nanos, 0, elapsed_ms, created_at
FROM load_call WHERE product = 'chat' AND purpose = 'ANSWER' AND elapsed_ms %% 4 = 0;
"""

WAIT = """
UPDATE billing_reservation SET is_rolled_up = false
WHERE id IN (SELECT id FROM billing_reservation ORDER BY id DESC LIMIT %s)
"""


def load(sizes: Sizes, *, now: datetime | None = None) -> None:
    """Fill an empty database and make its totals.

    Raises:
        NotEmptyError: it has calls.
    """
    if Reservation.objects.exists() or Saving.objects.exists():
        raise NotEmptyError("this database has calls already; usage rows go into an empty one")
    spans = [*_months(sizes.months, now or timezone.now())]
    _people(sizes)
    days = sum(count for _, count in spans)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET work_mem = '256MB'")
        # The rows are right by the way they are made: foreign keys are not looked up for each.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(WORLD)
        left = sizes.rows
        for starts_at, day_count in reversed(spans):
            upkeep.make_partitions(at=starts_at)
            count = left if starts_at == spans[0][0] else sizes.rows * day_count // days
            left -= count
            for batch in range(0, count, BATCH_ROWS):
                _write(cursor, sizes, starts_at, day_count, min(BATCH_ROWS, count - batch))
        cursor.execute(WAIT, (sizes.waiting,))
        for table in TABLES:
            cursor.execute(f"VACUUM ANALYZE {table}")
        for starts_at in upkeep.months_with_cost():
            rollups.remake(starts_at=starts_at)
        saving_months.keep(at=now)
        for table in TOTALS:
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("RESET work_mem")
        cursor.execute("RESET statement_timeout")


def _write(cursor: Any, sizes: Sizes, starts_at: datetime, days: int, count: int) -> None:
    values = {
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(days=days),
        "days": days,
        "count": count,
        "people": sizes.people,
        "departments": sizes.departments,
        "keys": sizes.keys,
    }
    cursor.execute(DRAW, values)
    cursor.execute(WRITE, ())


def _months(count: int, now: datetime) -> Iterator[tuple[datetime, int]]:
    """Yield where each month starts, the newest first, and how many of its days are over."""
    starts_at, ends_at = calendar.month_of(now)
    over = calendar.day_of(now)[0]
    for _ in range(count):
        if days := (min(over, ends_at) - starts_at).days:
            yield starts_at, days
        starts_at, ends_at = calendar.previous_month(starts_at), starts_at


def _people(sizes: Sizes) -> None:
    departments = Department.objects.bulk_create(
        Department(code=f"load-{number}", name=f"Department {number}")
        for number in range(sizes.departments)
    )
    people = User.objects.bulk_create(
        User(email=f"load-{number}@example.org", full_name=f"Person {number}", password="!")
        for number in range(sizes.people)
    )
    Membership.objects.bulk_create(
        Membership(user=person, department=departments[number % sizes.departments])
        for number, person in enumerate(people)
    )
    ApiKey.objects.bulk_create(
        ApiKey(
            name=f"Key {number}",
            prefix=f"l{uuid7().hex[-11:]}",
            secret_hash=b"",
            owner=people[number],
            department=departments[number % sizes.departments],
        )
        for number in range(sizes.keys)
    )
