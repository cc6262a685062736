"""Opening and closing provider calls; all money goes through here."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, models, transaction
from django.utils import timezone

from apps.billing.errors import (
    BookError,
    BudgetExceededError,
    CallEndedError,
    InvalidAmountError,
    ReservationConflictError,
)
from apps.billing.models import (
    Book,
    Budget,
    LedgerEntry,
    Mechanism,
    Meter,
    Outcome,
    Price,
    Reservation,
    Saving,
    UsageRecord,
)
from apps.billing.types import CallContext, Refusal, Reserved, Settled, Thrift, Usage
from apps.core.ids import uuid7

# Longer than any answer streams: past it, the process that opened the call is taken for dead.
RESERVATION_LIFETIME = timedelta(minutes=30)
MONTHS_AHEAD = 3
REAPER_BATCH_SIZE = 500
OVER_BUDGET = "PB001"
NO_DATA_FOUND = "P0002"

Row = TypeVar("Row", bound=models.Model)


def reserve(  # noqa: PLR0913 - all that a call is, by name
    *,
    context: CallContext,
    provider_code: str,
    model_code: str,
    max_input_tokens: int,
    max_output_tokens: int,
    input_meter: Meter = Meter.INPUT,
    output_meter: Meter = Meter.OUTPUT,
    thrift: Thrift = Thrift.NONE,
    at: datetime | None = None,
) -> Reserved:
    """Open a provider call and hold its maximum in every budget concerned, in a transaction of its own.

    A repeat of (request, attempt) returns the first. `at` is the moment whose prices and budgets count; None: now, by
    the database's clock.

    Raises:
        BudgetExceededError: a budget has no room for the maximum; nothing was left behind.
        ReservationConflictError: the pair names a call of another purpose, model or department.
    """
    try:
        row = _called(
            Reservation,
            "billing_reserve_v2(%s, %s, %s::smallint, %s, %s, %s, %s, %s, %s::text[], %s, %s, %s, %s, %s, %s, %s,"
            " %s::smallint, %s, %s)",
            (
                uuid7(),
                context.request_id,
                context.attempt,
                context.user_id,
                context.department_id,
                context.api_key_id,
                context.product,
                context.conversation_id,
                sorted(context.tags),
                context.purpose,
                provider_code,
                model_code,
                max_input_tokens,
                max_output_tokens,
                input_meter,
                output_meter,
                thrift,
                RESERVATION_LIFETIME,
                at,
            ),
        )
    except DatabaseError as error:
        if _sqlstate(error) != OVER_BUDGET:
            raise
        raise BudgetExceededError(_refusal(error)) from error
    asked = (context.purpose, context.department_id, provider_code, model_code)
    if asked != (row.purpose, row.department_id, row.provider_code, row.model_code):
        raise ReservationConflictError(f"{row} is a call for {row.purpose} by {row.model_code}")
    return Reserved(
        reservation_id=row.pk,
        created_at=row.created_at,
        max_nanos=row.max_nanos,
        is_settled=row.state != Reservation.State.OPEN,
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

    Each meter costs what its price row in force when the call was opened says. What the call cost above its
    reservation is posted as such. After the reaper's estimate, an entry of its own puts the amount right.

    Raises:
        CallEndedError: there is no such call, or it was voided.
    """
    try:
        record = _called(
            UsageRecord,
            "billing_settle_v2(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::integer, %s)",
            (
                reservation_id,
                outcome,
                usage.input_tokens,
                usage.cached_input_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.embedding_tokens,
                usage.batch_input_tokens,
                usage.batch_output_tokens,
                usage.audio_ms,
                usage.is_estimated,
                elapsed_ms,
                at,
            ),
        )
    except DatabaseError as error:
        if _sqlstate(error) != NO_DATA_FOUND:
            raise
        raise CallEndedError(str(reservation_id)) from error
    return as_settled(record)


def void(*, reservation_id: UUID, at: datetime | None = None) -> None:
    """End a call that was never sent: what it held is free again, and nothing is posted. A repeat does nothing.

    Raises:
        CallEndedError: there is no such call, or it was settled.
    """
    try:
        _called(Reservation, "billing_void_v1(%s, %s)", (reservation_id, at))
    except DatabaseError as error:
        if _sqlstate(error) != NO_DATA_FOUND:
            raise
        raise CallEndedError(str(reservation_id)) from error


def _called(model: type[Row], call: str, values: Sequence[Any]) -> Row:
    """Run one billing function in a transaction of its own: in autocommit, so in one round trip."""
    # In a transaction it would hold the budget's row until that ends; `durable` says so.
    own = transaction.atomic(durable=True) if connection.in_atomic_block else nullcontext()
    with own:
        [row] = model._default_manager.raw(f"SELECT * FROM {call}", values)  # noqa: S608 - calls are literals
    return row


def _sqlstate(error: DatabaseError) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def _refusal(error: DatabaseError) -> Refusal:
    told = json.loads(error.__cause__.diag.message_detail)  # type: ignore[union-attr]  # psycopg's own error
    budget = Budget.objects.get(pk=told["budget_id"])
    refills_at = told["refills_at"]
    return Refusal(
        budget_id=budget.pk,
        subject=budget.subject,
        period=Budget.Period(budget.period),
        at_limit=Budget.AtLimit(budget.at_limit),
        is_soft=told["limit_nanos"] < told["hard_limit_nanos"],
        limit_nanos=told["limit_nanos"],
        spent_nanos=told["spent_nanos"],
        reserved_nanos=told["reserved_nanos"],
        max_nanos=told["max_nanos"],
        refills_at=datetime.fromisoformat(refills_at) if refills_at else None,
    )


def correct(
    *,
    entry_id: UUID,
    department_id: UUID,
    amount_nanos: int,
    is_credit: bool,
    reason: str,
    author_id: UUID | None,
    reservation_id: UUID | None = None,
) -> LedgerEntry:
    """Charge a department, or credit it, by an entry in the open month; a repeat of `entry_id` returns the first.

    Budgets are not touched: they say what calls may do, corrections what is owed.

    Raises:
        InvalidAmountError: the amount is not positive, or no reason is given.
    """
    if amount_nanos <= 0 or not reason.strip():
        raise InvalidAmountError("a correction has an amount above zero and a reason")
    department = f"department:{department_id}"
    debit, credit = ("adjustments", department) if is_credit else (department, "adjustments")
    now = timezone.now()
    entry, _made = LedgerEntry.objects.get_or_create(
        id=entry_id,
        defaults={
            "kind": LedgerEntry.Kind.CORRECTION,
            "reservation_id": reservation_id,
            "department_id": department_id,
            "debit": debit,
            "credit": credit,
            "amount_nanos": amount_nanos,
            "booked_at": now,
            "posted_at": now,
            "author_id": author_id,
            "reason": reason.strip(),
        },
    )
    return entry


def record_saving(
    *,
    mechanism: Mechanism,
    request_id: UUID,
    department_id: UUID,
    user_id: UUID | None,
    saved_nanos: int,
    overhead_nanos: int = 0,
    saved_ms: int = 0,
    attempt: int = 0,
) -> None:
    """Note what a mechanism saved a request (attempt 0: as a whole) and itself cost it; a repeat changes nothing."""
    Saving.objects.bulk_create(
        [
            Saving(
                mechanism=mechanism,
                request_id=request_id,
                attempt=attempt,
                department_id=department_id,
                user_id=user_id,
                saved_nanos=saved_nanos,
                overhead_nanos=overhead_nanos,
                saved_ms=saved_ms,
            )
        ],
        ignore_conflicts=True,
    )


def open_book() -> None:
    """Keep the ledger in the currency and time zone of the settings; once it has entries, both stay.

    Raises:
        BookError: the settings name others than the ledger's.
    """
    asked = {"currency": settings.BILLING_CURRENCY, "time_zone": settings.BILLING_TIME_ZONE}
    book, _made = Book.objects.get_or_create(id=1, defaults=asked)
    kept = {"currency": book.currency, "time_zone": book.time_zone}
    if kept == asked:
        return
    if LedgerEntry.objects.exists():
        raise BookError(
            f"the ledger is kept in {book.currency} and {book.time_zone}: set BILLING_CURRENCY and"
            " BILLING_TIME_ZONE to these"
        )
    Book.objects.update(**asked)


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
            embedding_tokens=record.embedding_tokens,
            batch_input_tokens=record.batch_input_tokens,
            batch_output_tokens=record.batch_output_tokens,
            audio_ms=record.audio_ms,
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
            usage=_most(call),
            elapsed_ms=0,
            at=at,
        )
    return len(calls)


# Where a usage keeps what a meter counts.
USAGE_FIELDS = {
    Meter.INPUT: "input_tokens",
    Meter.OUTPUT: "output_tokens",
    Meter.EMBEDDING: "embedding_tokens",
    Meter.BATCH_INPUT: "batch_input_tokens",
    Meter.BATCH_OUTPUT: "batch_output_tokens",
    Meter.AUDIO: "audio_ms",
}


def _most(call: Reservation) -> Usage:
    return Usage(
        is_estimated=True,
        **{
            USAGE_FIELDS[Meter(call.input_meter)]: call.max_input_tokens,
            USAGE_FIELDS[Meter(call.output_meter)]: call.max_output_tokens,
        },
    )


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
