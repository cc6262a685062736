"""What cost screens ask reads the calls of its own months alone, over as many calls as tests/benchmarks/filled.py says.

(How long whole pages take is in tests/benchmarks/test_cost_pages.py; the same at a small size, by the planner's own
choice, in tests/billing/costs/test_plans.py.)
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import ApiKey, Department, User
from apps.billing import calendar
from apps.billing.costs import overview as costs
from apps.billing.costs.overview import CostFilter, Dimension
from apps.billing.forecast import month_end
from tests.benchmarks.filled import MARKS
from tests.benchmarks.filled import filled as filled
from tests.load.database_time import database_time, watch

pytestmark = MARKS

LOOKS = 3
MOST_MS = 100


def questions() -> dict[str, Callable[[], object]]:
    """Return what the screens ask of last month, of days and of a year, narrowed in every way."""
    department = Department.objects.filter(code__startswith="load-").order_by("code")[7].pk
    person = User.objects.filter(email__startswith="load-").order_by("email")[3].pk
    key = ApiKey.objects.order_by("prefix")[5].pk
    this, after = calendar.month_of(timezone.now())
    before = calendar.previous_month(this)
    chosen: dict[str, dict[str, Any]] = {
        "organisation": {},
        "department": {"department_ids": (department,)},
        "person": {"user_id": person},
        "key": {"api_key_id": key},
        "product and tag": {"product": "chat", "tag": "tag-1"},
        "one of few": {"department_ids": (department,), "purpose": "JUDGE", "tag": "tag-1"},
    }
    spans = {
        "last month": (before, this),
        "half a month": (calendar.day_of(before + (this - before) // 2)[0], this),
        "13 months": (this.replace(year=this.year - 1), after),
    }
    asked: dict[str, Callable[[], object]] = {}
    for of, fields in chosen.items():
        for said, span in spans.items():
            one = CostFilter(*span, **fields)
            asked[f"{of}, {said}"] = lambda one=one: costs.overview(one, list(Dimension))  # type: ignore[misc]
        whole = CostFilter(*spans["last month"], **fields)
        asked[f"calls of {of}, last month"] = lambda one=whole: second_page(one)  # type: ignore[misc]
        asked[f"corrections, {of}"] = lambda one=whole: costs.corrections(one)  # type: ignore[misc]
    asked["forecast of everybody"] = lambda: month_end(department_id=None)
    asked["forecast of a department"] = lambda: month_end(department_id=department)
    return asked


def second_page(cost_filter: CostFilter) -> object:
    first = costs.calls(cost_filter, before=None)
    return costs.calls(cost_filter, before=first[-1].pk) if first else first


def months_read(work: Callable[[], object]) -> set[str]:
    """Return the months whose calls are read, by the plans."""
    with CaptureQueriesContext(connection) as queries:
        work()
    found: set[str] = set()
    with connection.cursor() as cursor:
        for query in queries.captured_queries:
            cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"))
            for (line,) in cursor.fetchall():
                found |= set(re.findall(r" on billing_usagerecord_(\d{4}_\d\d|default)\b", line))
    return found


@pytest.mark.usefixtures("filled")
def test_every_question_is_quick_and_reads_its_own_months(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch()
    last_month = f"{calendar.previous_month(calendar.month_of(timezone.now())[0]):%Y_%m}"
    slow: dict[str, float] = {}
    for said, ask in questions().items():
        took = database_time(ask, looks=LOOKS)
        with capsys.disabled():
            print(f"{said:<36} {took.busy:7.1f} ms ({took.elapsed:.1f})", flush=True)  # noqa: T201 - a benchmark reports
        if took.busy >= MOST_MS:
            slow[said] = took.busy
        if "last month" in said or "half a month" in said:
            assert months_read(ask) <= {last_month}, said
    assert slow == {}
