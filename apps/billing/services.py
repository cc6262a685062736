"""Opening and closing provider calls; all money goes through here."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from apps.billing.models import Meter, Outcome, Price, Reservation, UsageRecord
from apps.billing.types import CallContext, Reserved, Settled, Usage
from apps.core.ids import uuid7

# Longer than any answer streams: past it, the process that opened the call is taken for dead.
RESERVATION_LIFETIME = timedelta(minutes=30)
MONTHS_AHEAD = 3
REAPER_BATCH_SIZE = 500


class BillingError(Exception):
    """Base of what can go wrong with money."""


class ReservationConflictError(BillingError):
    """The same (request, attempt) already names another call: its attempts are not numbered apart."""


def reserve(
    *,
    context: CallContext,
    provider_code: str,
    model_code: str,
    max_input_tokens: int,
    max_output_tokens: int,
    at: datetime | None = None,
) -> Reserved:
    """Open a provider call, in a transaction of its own; a repeat of (request, attempt) returns the first.

    `at` is the moment whose prices count; None: now, by the database's clock.

    Raises:
        ReservationConflictError: the pair names a call of another purpose, model or department.
    """
    with transaction.atomic(durable=True):
        [row] = Reservation.objects.raw(
            "SELECT * FROM billing_reserve_v1(%s, %s, %s::smallint, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                uuid7(),
                context.request_id,
                context.attempt,
                context.user_id,
                context.department_id,
                context.purpose,
                provider_code,
                model_code,
                max_input_tokens,
                max_output_tokens,
                RESERVATION_LIFETIME,
                at,
            ),
        )
    asked = (context.purpose, context.department_id, provider_code, model_code)
    if asked != (row.purpose, row.department_id, row.provider_code, row.model_code):
        raise ReservationConflictError(f"{row} is a call for {row.purpose} by {row.model_code}")
    return Reserved(
        reservation_id=row.pk,
        created_at=row.created_at,
        max_nanos=row.max_nanos,
        is_settled=row.state == Reservation.State.SETTLED,
    )


def settle(
    *,
    reservation_id: UUID,
    outcome: Outcome,
    usage: Usage,
    elapsed_ms: int,
    at: datetime | None = None,
) -> Settled:
    """Close a provider call with what it used, in a transaction of its own; a repeat returns the first record.

    Each meter costs what its price row in force when the call was opened says.
    """
    with transaction.atomic(durable=True):
        [record] = UsageRecord.objects.raw(
            "SELECT * FROM billing_settle_v1(%s, %s, %s, %s, %s, %s, %s, %s::integer, %s)",
            (
                reservation_id,
                outcome,
                usage.input_tokens,
                usage.cached_input_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.is_estimated,
                elapsed_ms,
                at,
            ),
        )
    return as_settled(record)


def as_settled(record: UsageRecord) -> Settled:
    """Return a usage record's key figures."""
    return Settled(
        usage_record_id=record.pk,
        created_at=record.created_at,
        request_id=record.request_id,
        attempt=record.attempt,
        provider_code=record.provider_code,
        model_code=record.model_code,
        outcome=Outcome(record.outcome),
        usage=Usage(
            input_tokens=record.input_tokens,
            cached_input_tokens=record.cached_input_tokens,
            cache_write_tokens=record.cache_write_tokens,
            output_tokens=record.output_tokens,
            is_estimated=record.is_estimated,
        ),
        amount_nanos=record.amount_nanos,
    )


def settle_expired(*, at: datetime | None = None) -> int:
    """Settle calls whose process died, at most `REAPER_BATCH_SIZE`, as if all they could use had been used.

    Returns how many; the records are marked as estimates.
    """
    now = at or timezone.now()
    expired = Reservation.objects.filter(state=Reservation.State.OPEN, expires_at__lt=now)
    calls = list(expired.order_by("expires_at")[:REAPER_BATCH_SIZE])
    for call in calls:
        settle(
            reservation_id=call.pk,
            outcome=Outcome.ESTIMATED,
            usage=Usage(
                input_tokens=call.max_input_tokens,
                output_tokens=call.max_output_tokens,
                is_estimated=True,
            ),
            elapsed_ms=0,
            at=at,
        )
    return len(calls)


def make_partitions(*, at: datetime | None = None) -> int:
    """Make the tables of this month's usage records and of the next three; return how many were missing."""
    first = (at or timezone.now()).astimezone(UTC).date().replace(day=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE billing_make_partition_v1((%s + ahead * interval '1 month')::date))"
            " FROM generate_series(0, %s) AS ahead",
            (first, MONTHS_AHEAD),
        )
        [made_count] = cursor.fetchone()
    return int(made_count)


def ship_prices(*, provider_code: str, model_code: str, nanos_by_meter: dict[Meter, int]) -> None:
    """Set prices for meters that have none at all, so that an operator's own stay what they are."""
    priced = set(
        Price.objects.of_model(provider_code=provider_code, model_code=model_code).values_list(
            "meter", flat=True
        )
    )
    now = timezone.now()
    Price.objects.bulk_create(
        [
            Price(
                provider_code=provider_code,
                model_code=model_code,
                meter=meter,
                nanos_per_million_tokens=nanos,
                starts_at=now,
                source=Price.Source.SHIPPED,
            )
            for meter, nanos in nanos_by_meter.items()
            if meter not in priced
        ],
        ignore_conflicts=True,
    )
