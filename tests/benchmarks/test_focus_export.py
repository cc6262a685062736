"""The FOCUS export call by call keeps up with a large month: tens of thousands of rows a second, in bounded memory.

Run by `make bench`; PARLEY_LOAD_ROWS=1000000 exports so many calls (60,000).
"""

import hashlib
import os
import time
import tracemalloc
from dataclasses import dataclass

import pytest
from django.db import connection
from django.utils import timezone

from apps.billing import calendar
from apps.billing.statements import focus_rows, report
from apps.billing.statements.focus_rows import focus_csv
from apps.billing.statements.report import StatedMonth
from tests.factories.billing import PriceFactory
from tests.load.usage_rows import Sizes, load

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

ROWS = int(os.environ.get("PARLEY_LOAD_ROWS", "60000"))
PRICES = {
    ("north", "small"): (150_333, 600_001),
    ("north", "medium"): (1_100_007, 4_400_999),
    ("south", "large"): (2_500_001, 10_000_003),
    ("north", "embedder"): (20_011, 0),
}
LEAST_RATIO = 4
MOST_BYTES = 32 * 2**20
# Each call with the prices it was charged by, and an amount they explain but for its fraction of a nano.
PRICED = """
UPDATE billing_usagerecord AS call SET
    price_ids = priced.ids,
    amount_nanos = round((
        (call.input_tokens + call.embedding_tokens) * priced.input + call.output_tokens * priced.output
    )::numeric / 1000000)
FROM (
    SELECT provider_code, model_code,
        jsonb_object_agg(CASE WHEN model_code = 'embedder' AND meter = 'INPUT' THEN 'EMBEDDING' ELSE meter END, id) AS ids,
        max(nanos_per_million_tokens) FILTER (WHERE meter = 'INPUT') AS input,
        max(nanos_per_million_tokens) FILTER (WHERE meter = 'OUTPUT') AS output
    FROM billing_price GROUP BY 1, 2
) AS priced
WHERE call.provider_code = priced.provider_code AND call.model_code = priced.model_code
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One export."""

    lines: int
    wall_seconds: float
    processor_seconds: float
    digest: str


def test_a_month_is_exported_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    month = priced_month()
    kept = {is_detailed: measured(month, is_detailed=is_detailed) for is_detailed in (False, True)}
    # Each line made from its columns anew.
    monkeypatch.setattr(focus_rows, "KEPT_CHARGES", 0)
    anew = measured(month, is_detailed=True)
    monkeypatch.undo()
    assert anew.digest == kept[True].digest
    tracemalloc.start()
    for _line in focus_csv(month, is_detailed=True):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    for is_detailed, one in kept.items():
        print(  # noqa: T201
            f"\n{'a row a call' if is_detailed else 'a row a day'}: {one.lines:,} lines of {ROWS:,} calls, "
            f"{one.lines / one.wall_seconds:,.0f} lines/s, {one.processor_seconds / one.lines * 1e6:.1f} µs of processor a line"
        )
    ratio = anew.processor_seconds / kept[True].processor_seconds
    print(f"{ratio:.1f} × as quick as from the columns anew; at most {most / 2**20:.1f} MB")  # noqa: T201
    assert ratio > LEAST_RATIO
    assert most < MOST_BYTES


def measured(month: StatedMonth, *, is_detailed: bool) -> Measured:
    wall, processor = time.perf_counter(), time.process_time()
    digest, lines = hashlib.sha256(), 0
    for line in focus_csv(month, is_detailed=is_detailed):
        digest.update(line.encode())
        lines += line.count("\r\n")
    return Measured(
        lines, time.perf_counter() - wall, time.process_time() - processor, digest.hexdigest()
    )


def priced_month() -> StatedMonth:
    now = calendar.month_of(timezone.now())[0]
    load(Sizes(rows=ROWS, months=2, departments=20, people=500), now=now)
    for (provider, model), prices in PRICES.items():
        for meter, nanos in zip(("INPUT", "OUTPUT"), prices, strict=True):
            PriceFactory(
                provider_code=provider,
                model_code=model,
                meter=meter,
                nanos_per_million_tokens=nanos,
            )
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(PRICED)
        cursor.execute("SET session_replication_role = origin")
    return report.stated_month(starts_at=calendar.previous_month(now), at=now)
