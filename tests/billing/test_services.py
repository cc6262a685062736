"""Reserve and settle: each once, at the right price, to the last nano."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.billing import services, tasks
from apps.billing.models import Meter, Outcome, Purpose, Reservation, UsageRecord
from apps.billing.types import CallContext, Reserved, Settled, Usage
from apps.core.money import amount_nanos
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import PriceFactory, call_context

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def reserve(context: CallContext, **options: object) -> Reserved:
    return services.reserve(
        **{
            "context": context,
            "provider_code": "provider",
            "model_code": "model",
            "max_input_tokens": 1000,
            "max_output_tokens": 100,
            **options,
        }
    )


def settle(reserved: Reserved, usage: Usage, outcome: Outcome = Outcome.COMPLETED) -> Settled:
    return services.settle(
        reservation_id=reserved.reservation_id, outcome=outcome, usage=usage, elapsed_ms=12
    )


@pytest.mark.django_db
class TestReserve:
    def test_it_bounds_the_cost_by_counted_input_and_the_output_cap(self) -> None:
        PriceFactory(meter=Meter.INPUT, nanos_per_million_tokens=150_000_000)
        PriceFactory(meter=Meter.CACHE_WRITE, nanos_per_million_tokens=187_500_000)
        PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=600_000_000)
        assert reserve(call_context()).max_nanos == 187_500 + 60_000

    def test_a_repeat_returns_the_first(self) -> None:
        context = call_context()
        first = reserve(context)
        assert reserve(context, max_input_tokens=5) == first
        assert Reservation.objects.count() == 1

    def test_a_repeat_of_a_settled_call_says_so(self) -> None:
        context = call_context()
        settle(reserve(context), Usage(input_tokens=1))
        assert reserve(context).is_settled

    def test_another_call_under_the_same_numbers_is_refused(self) -> None:
        context = call_context()
        reserve(context)
        with pytest.raises(services.ReservationConflictError):
            reserve(replace(context, purpose=Purpose.TITLE))
        reserve(replace(context, purpose=Purpose.TITLE, attempt=2))


@pytest.mark.django_db(transaction=True)
def test_concurrent_reservations_of_one_call_are_one() -> None:
    context = call_context()

    def reserve_once(_number: int) -> Reserved:
        try:
            return reserve(context)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(reserve_once, range(24)))
    assert len({result.reservation_id for result in results}) == 1
    assert Reservation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_settlements_charge_once() -> None:
    PriceFactory()
    reserved = reserve(call_context())

    def settle_once(number: int) -> Settled:
        try:
            return settle(reserved, Usage(input_tokens=number))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(settle_once, range(24)))
    assert len(set(results)) == 1
    assert UsageRecord.objects.count() == 1


@pytest.mark.django_db
class TestSettle:
    def test_each_meter_has_its_price_and_the_sum_is_rounded_once(self) -> None:
        rows = {
            meter: PriceFactory(meter=meter, nanos_per_million_tokens=nanos)
            for meter, nanos in [
                (Meter.INPUT, 150_000_001),
                (Meter.CACHE_READ, 75_000_001),
                (Meter.CACHE_WRITE, 187_500_001),
                (Meter.OUTPUT, 600_000_001),
            ]
        }
        settled = settle(reserve(call_context()), Usage(101, 57, 13, 31))
        assert settled.amount_nanos == amount_nanos(
            tokens_and_prices=[
                (101, 150_000_001),
                (57, 75_000_001),
                (13, 187_500_001),
                (31, 600_000_001),
            ]
        )
        record = UsageRecord.objects.get()
        assert record.price_ids == {meter.value: row.pk for meter, row in rows.items()}

    def test_cached_tokens_without_a_price_of_their_own_cost_as_fresh_ones(self) -> None:
        row = PriceFactory(meter=Meter.INPUT, nanos_per_million_tokens=1_000_000)
        settled = settle(
            reserve(call_context()), Usage(cached_input_tokens=7, cache_write_tokens=2)
        )
        assert settled.amount_nanos == 9
        assert UsageRecord.objects.get().price_ids == {"CACHE_READ": row.pk, "CACHE_WRITE": row.pk}

    def test_without_prices_it_costs_nothing_and_shows_that_none_was_set(self) -> None:
        settled = settle(reserve(call_context()), Usage(input_tokens=7))
        assert settled.amount_nanos == 0
        assert UsageRecord.objects.get().price_ids == {}

    def test_the_record_has_the_reservation_s_id_and_moment(self) -> None:
        reserved = reserve(call_context())
        settled = settle(reserved, Usage(input_tokens=7))
        assert (settled.usage_record_id, settled.created_at) == (
            reserved.reservation_id,
            reserved.created_at,
        )

    def test_a_repeat_returns_the_first_outcome_and_charges_nothing_more(self) -> None:
        PriceFactory(nanos_per_million_tokens=1_000_000)
        reserved = reserve(call_context())
        first = settle(reserved, Usage(input_tokens=7))
        assert settle(reserved, Usage(input_tokens=900), Outcome.FAILED) == first
        assert UsageRecord.objects.get().amount_nanos == 7

    def test_prices_are_those_in_force_when_the_call_was_opened(self) -> None:
        month_end = datetime(2026, 12, 1, tzinfo=UTC)
        PriceFactory(nanos_per_million_tokens=1_000_000)
        PriceFactory(nanos_per_million_tokens=5_000_000, starts_at=month_end)
        before = reserve(call_context(), at=month_end - timedelta(microseconds=1))
        after = reserve(call_context(), at=month_end)
        # Both are settled after the change.
        assert settle(before, Usage(input_tokens=10)).amount_nanos == 10
        assert settle(after, Usage(input_tokens=10)).amount_nanos == 50


@pytest.mark.django_db(transaction=True)
def test_a_call_can_t_be_opened_inside_a_transaction_that_could_undo_it() -> None:
    context = call_context()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        reserve(context)


@pytest.mark.django_db
@given(
    used=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**12)), min_size=1, max_size=4)
)
def test_the_database_rounds_as_the_code_does(used: list[tuple[int, int]]) -> None:
    total = sum(tokens * price for tokens, price in used)
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_amount_v1(%s::numeric)", (total,))
        assert cursor.fetchone() == (amount_nanos(tokens_and_prices=used),)


@pytest.mark.django_db
@pytest.mark.parametrize(("total", "nanos"), [(500_000, 0), (1_500_000, 2), (2_500_000, 2)])
def test_halves_go_to_the_even_nano(total: int, nanos: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT billing_amount_v1(%s::numeric)", (total,))
        assert cursor.fetchone() == (nanos,)


@pytest.mark.django_db
class TestSettleExpired:
    def test_a_call_whose_process_died_is_settled_at_a_marked_estimate(self) -> None:
        PriceFactory(meter=Meter.INPUT, nanos_per_million_tokens=1_000_000)
        PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=2_000_000)
        reserved = reserve(call_context(), at=MOMENT)
        assert services.settle_expired(at=MOMENT + services.RESERVATION_LIFETIME) == 0
        late = MOMENT + services.RESERVATION_LIFETIME + timedelta(seconds=1)
        assert services.settle_expired(at=late) == 1
        record = UsageRecord.objects.get(pk=reserved.reservation_id)
        assert record.outcome == Outcome.ESTIMATED
        assert record.is_estimated
        assert record.amount_nanos == 1000 + 200

    def test_the_task_settles_all_of_them_once(self) -> None:
        department = DepartmentFactory()
        for _number in range(3):
            reserve(call_context(department_id=department.pk), at=MOMENT)
        reserve(call_context(department_id=department.pk), at=timezone.now())
        tasks.settle_expired()
        tasks.settle_expired()
        assert UsageRecord.objects.count() == 3
