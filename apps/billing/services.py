"""Opening and closing provider calls; all money goes through here."""

import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from apps.billing.errors import (
    BudgetExceededError,
    CallEndedError,
    InvalidAmountError,
    ReservationConflictError,
    sqlstate_of,
)
from apps.billing.models import (
    Budget,
    LedgerEntry,
    Mechanism,
    Meter,
    Outcome,
    Reservation,
    Saving,
)
from apps.billing.types import (
    COUNTED_IN,
    CallContext,
    Refusal,
    Reserved,
    Settled,
    Thrift,
    Usage,
)
from apps.core.ids import uuid7

# Longer than any answer streams: past it, the process that opened the call is taken for dead.
RESERVATION_LIFETIME = timedelta(minutes=30)
REAPER_BATCH_SIZE = 500
OVER_BUDGET = "PB001"
NO_DATA_FOUND = "P0002"

SETTLED_FIELDS = (
    "id", "created_at", "request_id", "attempt", "provider_code", "model_code", "outcome", "amount_nanos",
)  # fmt: skip
USAGE_FIELDS = tuple(field.name for field in fields(Usage))


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
        opened = _called(
            "id, created_at, max_nanos, state, purpose, department_id, provider_code, model_code",
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
        if sqlstate_of(error) != OVER_BUDGET:
            raise
        raise BudgetExceededError(_refusal(error)) from error
    asked = (context.purpose, context.department_id, provider_code, model_code)
    reservation_id, created_at, max_nanos, state, *named = opened
    if asked != tuple(named):
        raise ReservationConflictError(
            f"{context.request_id}/{context.attempt} is a call for {named[0]} by {named[-1]}"
        )
    return Reserved(
        reservation_id=reservation_id,
        created_at=created_at,
        max_nanos=max_nanos,
        is_settled=state != Reservation.State.OPEN,
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
        settled = _called(
            ", ".join((*SETTLED_FIELDS, *USAGE_FIELDS)),
            "billing_settle_v3(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::integer, %s)",
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
        if sqlstate_of(error) != NO_DATA_FOUND:
            raise
        raise CallEndedError(str(reservation_id)) from error
    return _settled(settled)


def void(*, reservation_id: UUID, at: datetime | None = None) -> None:
    """End a call that was never sent: what it held is free again, and nothing is posted. A repeat does nothing.

    Raises:
        CallEndedError: there is no such call, or it was settled.
    """
    try:
        _called("id", "billing_void_v1(%s, %s)", (reservation_id, at))
    except DatabaseError as error:
        if sqlstate_of(error) != NO_DATA_FOUND:
            raise
        raise CallEndedError(str(reservation_id)) from error


def _called(columns: str, call: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Run one billing function in a transaction of its own, in autocommit, so in one round trip; return its row."""
    # In a transaction it would hold the budget's row until that ends; `durable` says so.
    own = transaction.atomic(durable=True) if connection.in_atomic_block else nullcontext()
    with own, connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {call}", values)  # noqa: S608 - both are literals
        [row] = cursor.fetchall()
    return tuple(row)


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
    entry, _made = LedgerEntry.objects.get_or_create(
        id=entry_id,
        defaults={
            "kind": LedgerEntry.Kind.CORRECTION,
            "reservation_id": reservation_id,
            "department_id": department_id,
            "debit": debit,
            "credit": credit,
            "amount_nanos": amount_nanos,
            # By the clock that closes months.
            "booked_at": Now(),
            "posted_at": Now(),
            "author_id": author_id,
            "reason": reason.strip(),
        },
    )
    entry.refresh_from_db()
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


def _settled(figures: Sequence[Any]) -> Settled:
    pk, created_at, request_id, attempt, provider_code, model_code, outcome, amount, *used = figures
    return Settled(
        usage_record_id=pk,
        created_at=created_at,
        request_id=request_id,
        attempt=attempt,
        provider_code=provider_code,
        model_code=model_code,
        outcome=Outcome(outcome),
        usage=Usage(*used),
        amount_nanos=amount,
    )


def settle_expired(*, at: datetime | None = None) -> int:
    """Settle calls whose process died, at most `REAPER_BATCH_SIZE`, as if all they could use had been used.

    Returns how many; the records are marked as estimates.
    """
    now = at or timezone.now()
    expired = Reservation.objects.filter(state=Reservation.State.OPEN, expires_at__lt=now)
    calls = list(expired.order_by("expires_at")[:REAPER_BATCH_SIZE])
    for call in calls:
        # Its process may be alive after all and void it meanwhile; the others behind it are dead still.
        with suppress(CallEndedError):
            settle(
                reservation_id=call.pk,
                outcome=Outcome.ESTIMATED,
                usage=_most(call),
                elapsed_ms=0,
                at=at,
            )
    return len(calls)


def _most(call: Reservation) -> Usage:
    return Usage(
        is_estimated=True,
        **{
            COUNTED_IN[Meter(call.input_meter)]: call.max_input_tokens,
            COUNTED_IN[Meter(call.output_meter)]: call.max_output_tokens,
        },
    )
