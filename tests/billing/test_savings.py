"""The savings: attribution telescopes exactly, the identity holds against what calls cost, reports agree with each other."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from apps.accounts.models import Department
from apps.billing import savings, services
from apps.billing.models import LedgerEntry, Mechanism, Meter, Outcome, Saving
from apps.billing.savings import Attributed, Identity
from apps.billing.types import Usage
from apps.core.ids import uuid7
from apps.core.money import amount_nanos
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory, call_context, settled_call

NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
COSTS = st.integers(0, 10**15)


@st.composite
def histories(draw: Callable[..., Any]) -> tuple[int, list[tuple[Mechanism, int]]]:
    """A baseline, and the costs after some of the mechanisms, in their order."""
    chosen = [mechanism for mechanism in savings.ORDER if draw(st.booleans())]
    return draw(COSTS), [(mechanism, draw(COSTS)) for mechanism in chosen]


@given(histories())
def test_what_is_attributed_telescopes_exactly(
    history: tuple[int, list[tuple[Mechanism, int]]],
) -> None:
    baseline, steps = history
    rows = savings.attribute(baseline_nanos=baseline, steps=steps)
    actual = steps[-1][1] if steps else baseline
    sums = Identity(
        actual, sum(row.saved_nanos for row in rows), sum(row.overhead_nanos for row in rows)
    )
    assert sums.baseline_nanos == baseline
    assert [row.mechanism for row in rows] == [mechanism for mechanism, _cost in steps]
    for row in rows:
        assert (
            min(row.saved_nanos, row.overhead_nanos)
            == 0
            <= max(row.saved_nanos, row.overhead_nanos)
        )


def test_each_mechanism_takes_what_those_before_it_left() -> None:
    steps = [(Mechanism.ROUTE, 60), (Mechanism.PACKING, 65), (Mechanism.PROVIDER_CACHE, 20)]
    assert savings.attribute(baseline_nanos=100, steps=steps) == [
        Attributed(Mechanism.ROUTE, 40, 0),
        Attributed(Mechanism.PACKING, 0, 5),
        Attributed(Mechanism.PROVIDER_CACHE, 45, 0),
    ]


@pytest.mark.parametrize(
    ("baseline", "steps"),
    [
        (9, [(Mechanism.PROVIDER_CACHE, 5), (Mechanism.ROUTE, 4)]),
        (9, [(Mechanism.ROUTE, 5), (Mechanism.ROUTE, 4)]),
        (9, [(Mechanism.ROUTE, -1)]),
        (-1, [(Mechanism.ROUTE, 0)]),
    ],
)
def test_steps_out_of_order_and_negative_costs_are_refused(
    baseline: int, steps: list[tuple[Mechanism, int]]
) -> None:
    with pytest.raises(ValueError, match=r"out of order|never negative"):
        savings.attribute(baseline_nanos=baseline, steps=steps)


@pytest.mark.django_db
def test_without_the_provider_s_cache_a_call_would_have_cost_its_tokens_fresh() -> None:
    """What settling notes is held against the same tokens at the plain price, computed here."""
    chance = random.Random(20261122)
    prices = {"INPUT": 3_000_000_001, "CACHE_READ": 300_000_007, "CACHE_WRITE": 3_750_000_003}
    for meter, nanos in prices.items():
        PriceFactory(meter=meter, nanos_per_million_tokens=nanos)
    PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=15_000_000_011)
    department = DepartmentFactory()
    for _call in range(40):
        fresh, cached, written, output = (
            chance.choice([0, chance.randrange(1, 50_000)]) for _n in range(4)
        )
        usage = Usage(fresh, cached, written, output)
        settled = settled_call(usage=usage, department_id=department.pk)
        sums = savings.identity(settled.request_id)
        assert sums.actual_nanos == settled.amount_nanos
        assert sums.baseline_nanos == amount_nanos(
            tokens_and_prices=[
                (fresh + cached + written, prices["INPUT"]),
                (output, 15_000_000_011),
            ]
        )


@pytest.mark.django_db
def test_a_request_of_several_calls_is_one_identity(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    PriceFactory(nanos_per_million_tokens=1_000_000)
    request_id, department = uuid7(), DepartmentFactory()
    for attempt in (1, 2, 100):
        settled_call(request_id=request_id, attempt=attempt, department_id=department.pk)
    settled_call()
    note(department, Mechanism.ROUTE, 500, request_id=request_id)
    note(department, Mechanism.PACKING, 0, 30, request_id=request_id)
    with django_assert_num_queries(2):
        sums = savings.identity(request_id)
    assert sums == Identity(3_000, 500, 30)
    assert sums.baseline_nanos == 3_470
    assert savings.identity(uuid4()) == Identity(0, 0, 0)


@pytest.mark.django_db
def test_what_calls_cost_is_found_by_the_calls() -> None:
    entries = LedgerEntry.objects.of_calls().filter(reservation_id__in=[uuid4()])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "ledger_call_once" in entries.explain()


@pytest.mark.django_db(transaction=True)
def test_late_usage_after_an_estimate_is_in_the_identity() -> None:
    """A call whose process died is charged at all it could use; then the provider's usage comes, mostly cached."""
    for meter, nanos in {"INPUT": 3_000_000_001, "CACHE_READ": 300_000_007}.items():
        PriceFactory(meter=meter, nanos_per_million_tokens=nanos)
    department = DepartmentFactory()
    context = call_context(department_id=department.pk)
    call = services.reserve(
        context=context,
        provider_code="provider",
        model_code="model",
        max_input_tokens=40_000,
        max_output_tokens=0,
        at=NOVEMBER,
    )

    def ended(outcome: Outcome, usage: Usage) -> None:
        services.settle(
            reservation_id=call.reservation_id,
            outcome=outcome,
            usage=usage,
            elapsed_ms=1,
            at=NOVEMBER,
        )

    ended(Outcome.ESTIMATED, Usage(input_tokens=40_000, is_estimated=True))
    fresh, cached = 1_001, 30_007
    cost = amount_nanos(tokens_and_prices=[(fresh, 3_000_000_001), (cached, 300_000_007)])
    plain = amount_nanos(tokens_and_prices=[(fresh + cached, 3_000_000_001)])
    # What comes after the first late usage changes nothing.
    for usage in (Usage(fresh, cached), Usage(7, 9), Usage(fresh, cached)):
        ended(Outcome.COMPLETED, usage)
        assert savings.identity(context.request_id) == Identity(cost, plain - cost, 0)
    [saving] = Saving.objects.filter(request_id=context.request_id)
    assert (saving.mechanism, saving.attempt) == (Mechanism.PROVIDER_CACHE, context.attempt)
    assert savings.actual_nanos(NOVEMBER, DECEMBER) == cost
    assert savings.actual_nanos(NOVEMBER, DECEMBER, (department.pk,)) == cost
    assert savings.actual_nanos(DECEMBER, DECEMBER + timedelta(days=31)) == 0


def note(
    department: Department,
    mechanism: Mechanism,
    saved: int,
    overhead: int = 0,
    *,
    at: datetime = NOVEMBER,
    **fields: Any,
) -> None:
    values = {"request_id": uuid7(), "saved_ms": 100, **fields}
    Saving.objects.create(
        department=department,
        mechanism=mechanism,
        saved_nanos=saved,
        overhead_nanos=overhead,
        created_at=at,
        **values,
    )


@pytest.mark.django_db
def test_a_saving_is_noted_once() -> None:
    request_id, department = uuid7(), DepartmentFactory()
    for nanos in (5, 6):
        services.record_saving(
            mechanism=Mechanism.ROUTE,
            request_id=request_id,
            department_id=department.pk,
            user_id=None,
            saved_nanos=nanos,
        )
    assert Saving.objects.get().saved_nanos == 5


@pytest.mark.django_db
def test_every_report_has_the_same_sum(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    sales, support = DepartmentFactory(name="Sales"), DepartmentFactory(name="Support")
    note(sales, Mechanism.EXACT_CACHE, 100)
    note(support, Mechanism.EXACT_CACHE, 700, at=DECEMBER - timedelta(microseconds=1))
    note(support, Mechanism.SEMANTIC_CACHE, 40, 50)
    both = uuid7()
    note(sales, Mechanism.ROUTE, 10, request_id=both)
    note(sales, Mechanism.PROVIDER_CACHE, 5, 2, request_id=both)
    note(sales, Mechanism.ROUTE, 10_000, at=DECEMBER)
    note(sales, Mechanism.ROUTE, 20_000, at=NOVEMBER - timedelta(microseconds=1))
    span = (NOVEMBER, DECEMBER)
    with django_assert_num_queries(1):
        mechanisms = savings.by_mechanism(*span)
    with django_assert_num_queries(1):
        departments = savings.by_department(*span)
    with django_assert_num_queries(1):
        [month] = savings.by_month(*span)
    assert [(row.key, row.net_nanos) for row in mechanisms] == [
        ("EXACT_CACHE", 800),
        ("SEMANTIC_CACHE", -10),
        ("ROUTE", 10),
        ("PROVIDER_CACHE", 3),
    ]
    assert [(row.name, row.net_nanos, row.request_count) for row in departments] == [
        ("Support", 690, 2),
        ("Sales", 113, 2),
    ]
    sums = [savings.summed(rows) for rows in (mechanisms, departments, [month.total])]
    assert {(one.saved_nanos, one.overhead_nanos, one.saved_ms) for one in sums} == {(855, 52, 500)}
    assert month.total.name == "2026-11"
    assert month.net_nanos_by_mechanism["EXACT_CACHE"] == 800
    assert [row.key for row in savings.by_mechanism(*span, [sales.pk])] == [
        "EXACT_CACHE",
        "ROUTE",
        "PROVIDER_CACHE",
    ]
    assert savings.by_department(*span, []) == []


@pytest.mark.django_db
def test_months_are_those_of_the_billing_time_zone(settings: Settings) -> None:
    settings.BILLING_TIME_ZONE = "Pacific/Auckland"
    note(DepartmentFactory(), Mechanism.ROUTE, 1, at=datetime(2026, 11, 30, 12, tzinfo=UTC))
    note(DepartmentFactory(), Mechanism.ROUTE, 2, at=datetime(2026, 11, 30, 10, tzinfo=UTC))
    months = savings.by_month(NOVEMBER, DECEMBER)
    assert [(one.total.key, one.total.net_nanos) for one in months] == [
        ("2026-11", 2),
        ("2026-12", 1),
    ]


@pytest.mark.django_db
def test_a_month_of_many_is_read_by_its_index() -> None:
    department = DepartmentFactory()
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO billing_saving (request_id, attempt, mechanism, department_id, saved_nanos, overhead_nanos,
                saved_ms, created_at)
            SELECT gen_random_uuid(), 0, 'ROUTE', %s, 1, 0, 0, %s - n * interval '1 hour' * 0.5
            FROM generate_series(1, 30000) n""",
            [department.pk, DECEMBER],
        )
        cursor.execute("ANALYZE billing_saving")
        for report in (savings.by_mechanism, savings.by_department, savings.by_month):
            with CaptureQueriesContext(connection) as captured:
                report(NOVEMBER, DECEMBER)
            cursor.execute(f"EXPLAIN {captured[0]['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "saving_created" in plan, plan


@pytest.mark.django_db
def test_the_command_reports_a_month(capsys: pytest.CaptureFixture[str]) -> None:
    note(DepartmentFactory(name="Sales"), Mechanism.EXACT_CACHE, 2_000_000_000, 500_000_000)
    call_command("billing_savings", "--month", "2026-11", "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["month"], report["net_nanos"], report["saved_nanos"]) == (
        "2026-11",
        1_500_000_000,
        2_000_000_000,
    )
    assert report["baseline_nanos"] == report["actual_nanos"] + report["net_nanos"]
    for kind in ("mechanisms", "departments"):
        assert sum(row["saved_nanos"] for row in report[kind]) == 2_000_000_000
    call_command("billing_savings", "--month", "2026-11")
    text = capsys.readouterr().out
    assert "Sales" in text
    assert "1.50 $" in text
    with pytest.raises(CommandError, match="2026-13"):
        call_command("billing_savings", "--month", "2026-13")
