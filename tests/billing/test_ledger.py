"""What the ledger holds after calls, corrections and estimates, and what it refuses."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.billing import book, services
from apps.billing.errors import BookError, CallEndedError, InvalidAmountError
from apps.billing.models import (
    Book,
    BudgetPeriod,
    LedgerEntry,
    Mechanism,
    Meter,
    Outcome,
    Price,
    Reservation,
    Saving,
    UsageRecord,
)
from apps.billing.types import CallContext, Reserved, Usage
from tests.factories.accounts import DepartmentFactory, UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context, settled_call

NANOS_PER_TOKEN = 1_000


@pytest.fixture
def price(db: None) -> Price:
    """A thousand nanos per token, fresh or not."""
    PriceFactory(meter=Meter.OUTPUT, nanos_per_million_tokens=NANOS_PER_TOKEN * 1_000_000)
    return PriceFactory(nanos_per_million_tokens=NANOS_PER_TOKEN * 1_000_000)


def reserve(context: CallContext) -> Reserved:
    return services.reserve(
        context=context,
        provider_code="provider",
        model_code="model",
        max_input_tokens=100,
        max_output_tokens=0,
    )


def opened(department_id: UUID) -> Reserved:
    return reserve(call_context(department_id=department_id))


def settle(reserved: Reserved, tokens: int, outcome: Outcome = Outcome.COMPLETED) -> int:
    return services.settle(
        reservation_id=reserved.reservation_id,
        outcome=outcome,
        usage=Usage(input_tokens=tokens),
        elapsed_ms=1,
    ).amount_nanos


def entries() -> list[tuple[str, str, str, int]]:
    return [
        (entry.kind, entry.debit.split(":")[0], entry.credit.split(":")[0], entry.amount_nanos)
        for entry in LedgerEntry.objects.order_by("posted_at", "kind")
    ]


@pytest.mark.usefixtures("price")
class TestPosting:
    def test_a_settlement_is_one_amount_from_the_department_to_the_provider(self) -> None:
        department = DepartmentFactory()
        settle(opened(department.pk), 60)
        [entry] = LedgerEntry.objects.all()
        assert (entry.debit, entry.credit) == (f"department:{department.pk}", "provider:provider")
        assert (entry.kind, entry.amount_nanos) == ("SETTLEMENT", 60_000)
        assert entry.booked_at == UsageRecord.objects.get().created_at

    def test_what_a_call_costs_above_its_reservation_is_posted_as_such(self) -> None:
        budget = BudgetFactory(limit_nanos=100_000)
        settle(opened(budget.department_id), 150)
        assert entries() == [
            ("EXCESS", "overdraft", "provider", 50_000),
            ("SETTLEMENT", "department", "provider", 100_000),
        ]
        period = BudgetPeriod.objects.get()
        assert (period.spent_nanos, period.reserved_nanos) == (150_000, 0)

    def test_a_call_never_sent_posts_nothing_and_frees_what_it_held(self) -> None:
        budget = BudgetFactory(limit_nanos=100_000)
        reserved = opened(budget.department_id)
        services.void(reservation_id=reserved.reservation_id)
        services.void(reservation_id=reserved.reservation_id)
        assert Reservation.objects.get().state == Reservation.State.VOID
        assert not LedgerEntry.objects.exists()
        assert BudgetPeriod.objects.get().reserved_nanos == 0

    def test_a_call_ends_once(self) -> None:
        department = DepartmentFactory()
        voided, settled = (opened(department.pk) for _call in range(2))
        services.void(reservation_id=voided.reservation_id)
        settle(settled, 1)
        with pytest.raises(CallEndedError):
            settle(voided, 1)
        with pytest.raises(CallEndedError):
            services.void(reservation_id=settled.reservation_id)
        with pytest.raises(CallEndedError):
            services.void(reservation_id=uuid4())

    def test_a_call_opened_twice_is_held_and_booked_once_whoever_ends_it(self) -> None:
        """Whoever lost the answer asks again and goes on; of two who do, what the first ends with counts."""
        budget = BudgetFactory(limit_nanos=1_000_000)
        context = call_context(department_id=budget.department_id)
        first, again = (reserve(context) for _repeat in range(2))
        assert again == first
        assert not again.is_settled
        assert BudgetPeriod.objects.get().reserved_nanos == 100_000
        assert {settle(first, 60), settle(again, 90)} == {60_000}
        assert entries() == [("SETTLEMENT", "department", "provider", 60_000)]
        period = BudgetPeriod.objects.get()
        assert (period.spent_nanos, period.reserved_nanos) == (60_000, 0)
        assert reserve(context).is_settled

    @pytest.mark.parametrize(
        ("tokens", "entry"),
        [
            (30, ("TRUE_UP", "provider", "department", 70_000)),
            (130, ("TRUE_UP", "department", "provider", 30_000)),
        ],
    )
    def test_usage_that_comes_after_the_estimate_puts_it_right_once(
        self, tokens: int, entry: tuple[str, str, str, int]
    ) -> None:
        budget = BudgetFactory(limit_nanos=1_000_000)
        reserved = opened(budget.department_id)
        services.settle_expired(at=timezone.now() + timedelta(hours=1))
        for _repeat in range(2):
            settle(reserved, tokens)
        assert [one for one in entries() if one[0] == "TRUE_UP"] == [entry]
        period = BudgetPeriod.objects.get()
        assert (period.spent_nanos, period.reserved_nanos) == (tokens * NANOS_PER_TOKEN, 0)

    def test_an_estimate_is_put_right_by_no_other_estimate(self) -> None:
        reserved = opened(DepartmentFactory().pk)
        services.settle_expired(at=timezone.now() + timedelta(hours=1))
        assert settle(reserved, 30, Outcome.ESTIMATED) == 100_000
        assert [kind for kind, *_accounts in entries()] == ["SETTLEMENT"]

    def test_each_meter_has_a_price_of_its_own(self) -> None:
        for number, meter in enumerate(Meter, start=1):
            PriceFactory(
                model_code="metered", meter=meter, nanos_per_million_tokens=number * 1_000_000
            )
        reserved = services.reserve(
            context=call_context(),
            provider_code="provider",
            model_code="metered",
            max_input_tokens=1,
            max_output_tokens=1,
        )
        usage = Usage(10, 10, 10, 10, 10, 10, 10, 10)
        settled = services.settle(
            reservation_id=reserved.reservation_id,
            outcome=Outcome.COMPLETED,
            usage=usage,
            elapsed_ms=1,
        )
        assert settled.usage == usage
        assert settled.amount_nanos == 10 * sum(range(1, len(Meter) + 1))
        assert len(UsageRecord.objects.get().price_ids) == len(Meter)

    @pytest.mark.parametrize(
        ("meters", "most"),
        [
            ({"input_meter": Meter.EMBEDDING}, 100),
            ({"input_meter": Meter.BATCH_INPUT, "output_meter": Meter.BATCH_OUTPUT}, 110),
            ({"input_meter": Meter.AUDIO}, 0),
        ],
    )
    def test_a_call_holds_the_plain_price_where_its_meter_has_none(
        self, meters: dict[str, Meter], most: int
    ) -> None:
        reserved = services.reserve(
            context=call_context(),
            provider_code="provider",
            model_code="model",
            max_input_tokens=100,
            max_output_tokens=10 if "output_meter" in meters else 0,
            **meters,  # type: ignore[arg-type]
        )
        assert reserved.max_nanos == most * NANOS_PER_TOKEN

    def test_meters_without_a_price_cost_what_the_plain_ones_do(self) -> None:
        settled = settled_call(
            usage=Usage(
                cached_input_tokens=1,
                embedding_tokens=1,
                batch_input_tokens=1,
                batch_output_tokens=1,
            )
        )
        assert settled.amount_nanos == 4 * NANOS_PER_TOKEN


@pytest.mark.django_db
class TestProviderCache:
    def test_what_it_saved_and_cost_is_noted_with_the_settlement(self) -> None:
        for meter, price in (("INPUT", 1000), ("CACHE_READ", 100), ("CACHE_WRITE", 1250)):
            PriceFactory(meter=meter, nanos_per_million_tokens=price * 1_000_000)
        settled = settled_call(
            usage=Usage(input_tokens=10, cached_input_tokens=50, cache_write_tokens=20)
        )
        saving = Saving.objects.get()
        assert (saving.mechanism, saving.attempt) == (Mechanism.PROVIDER_CACHE, 1)
        assert (saving.saved_nanos, saving.overhead_nanos) == (50 * 900, 20 * 250)
        baseline = 80 * 1000
        assert settled.amount_nanos + saving.saved_nanos - saving.overhead_nanos == baseline

    def test_a_cache_that_saves_nothing_is_not_noted(self) -> None:
        PriceFactory()
        settled_call(usage=Usage(cached_input_tokens=50))
        assert not Saving.objects.exists()


@pytest.mark.django_db
class TestCorrections:
    def test_a_credit_and_a_charge_are_entries_of_the_open_month(self) -> None:
        department, author = DepartmentFactory(), UserFactory()
        first = uuid4()
        for _repeat in range(2):
            services.correct(
                entry_id=first,
                department_id=department.pk,
                amount_nanos=5,
                is_credit=True,
                reason=" twice billed ",
                author_id=author.pk,
            )
        services.correct(
            entry_id=uuid4(),
            department_id=department.pk,
            amount_nanos=7,
            is_credit=False,
            reason="share of a licence",
            author_id=author.pk,
        )
        assert entries() == [
            ("CORRECTION", "adjustments", "department", 5),
            ("CORRECTION", "department", "adjustments", 7),
        ]
        assert LedgerEntry.objects.get(pk=first).reason == "twice billed"

    @pytest.mark.parametrize(("amount", "reason"), [(0, "why"), (-1, "why"), (1, " ")])
    def test_a_correction_without_amount_or_reason_is_refused(
        self, amount: int, reason: str
    ) -> None:
        with pytest.raises(InvalidAmountError):
            services.correct(
                entry_id=uuid4(),
                department_id=DepartmentFactory().pk,
                amount_nanos=amount,
                is_credit=False,
                reason=reason,
                author_id=None,
            )


@pytest.mark.usefixtures("price")
class TestAppendOnly:
    @pytest.mark.parametrize(
        "table",
        ["billing_ledgerentry", "billing_usagerecord", "billing_saving", "billing_price"],
    )
    def test_nothing_is_changed_or_deleted(self, table: str) -> None:
        PriceFactory(model_code="other", meter=Meter.CACHE_READ, nanos_per_million_tokens=1_000_000)
        settled = settled_call()
        services.record_saving(
            mechanism=Mechanism.BATCH,
            request_id=settled.request_id,
            department_id=DepartmentFactory().pk,
            user_id=None,
            saved_nanos=1,
        )
        for change in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with (
                pytest.raises(DatabaseError, match="append-only"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(change)

    def test_a_price_not_yet_in_force_can_be_withdrawn(self) -> None:
        later = PriceFactory(starts_at=timezone.now() + timedelta(days=1))
        later.delete()
        assert not Price.objects.filter(pk=later.pk).exists()


@pytest.mark.django_db
class TestBook:
    def test_it_follows_the_settings_until_the_first_entry(self, settings: object) -> None:
        settings.BILLING_TIME_ZONE = "Europe/Berlin"  # type: ignore[attr-defined]
        book.open_book()
        assert Book.objects.get().time_zone == "Europe/Berlin"
        settled_call()
        settings.BILLING_TIME_ZONE = "UTC"  # type: ignore[attr-defined]
        with pytest.raises(BookError, match="Europe/Berlin"):
            book.open_book()
        with pytest.raises(DatabaseError, match="it has entries"), transaction.atomic():
            Book.objects.update(currency="EUR")

    def test_budgets_refill_at_its_midnight(self, settings: object) -> None:
        settings.BILLING_TIME_ZONE = "Europe/Berlin"  # type: ignore[attr-defined]
        book.open_book()
        PriceFactory()
        budget = BudgetFactory(period="DAY")
        for hour in (21, 23):
            settled_call(
                department_id=budget.department_id, at=datetime(2026, 7, 14, hour, tzinfo=UTC)
            )
        starts = BudgetPeriod.objects.filter(starts_at__month=7).order_by("starts_at")
        assert [(one.starts_at.day, one.starts_at.hour) for one in starts] == [(13, 22), (14, 22)]
