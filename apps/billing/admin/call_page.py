"""What the admin shows of one call: how its amount comes about, what was booked for it, and where it counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _t

from apps.accounts.models import Department, User
from apps.billing.access import conversation_of_call
from apps.billing.models import (
    BudgetPeriod,
    LedgerEntry,
    Reservation,
    Saving,
    UsageRecord,
)
from apps.billing.pages.call_lines import CallLine, lines_of
from apps.billing.savings import Identity, identity
from apps.core.money import CURRENCY_SYMBOL, in_units

LEAST_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class Booking:
    """A ledger entry of the call; `effect_nanos` is what it changes of what the department owes."""

    entry: LedgerEntry
    debit: str
    credit: str
    effect_nanos: int


@dataclass(frozen=True, slots=True)
class CallPage:
    """One call. `record` None: it is open, or was never sent. `owed_nanos` is what is owed for it after corrections."""

    reservation: Reservation
    record: UsageRecord | None
    meters: Sequence[CallLine]
    exact_sum: Decimal
    is_rounded: bool
    bookings: Sequence[Booking]
    owed_nanos: int
    periods: Sequence[BudgetPeriod]
    savings: Sequence[Saving]
    identity: Identity
    attempts: Sequence[Reservation]
    conversation_id: UUID | None

    @property
    def terms(self) -> list[tuple[CallLine, str]]:
        """Return the terms of the sum, each with its amount in full."""
        return [(line, self._in_full(line.exact)) for line in self.meters]

    @property
    def exact_text(self) -> str:
        """Return the sum of the terms in full."""
        return self._in_full(self.exact_sum)

    @property
    def amount_text(self) -> str:
        """Return the amount that was booked in full."""
        return self._in_full(in_units(self.record.amount_nanos)) if self.record else ""

    def _in_full(self, units: Decimal) -> str:
        """Return an amount with as many decimals as the finest term has, so that they stand below one another."""
        exponents = (line.exact.normalize().as_tuple().exponent for line in self.meters)
        decimals = max(
            [LEAST_DECIMALS, *(-exponent for exponent in exponents if isinstance(exponent, int))]
        )
        return f"{units:,.{decimals}f} {CURRENCY_SYMBOL}"


def call_page(pk: UUID, *, viewer: User) -> CallPage | None:
    """Return what is shown of this call (at most ten queries, all by keys); None: there is no such call."""
    reservation = (
        Reservation.objects.select_related("department", "user", "api_key").filter(pk=pk).first()
    )
    if reservation is None:
        return None
    record = record_of(reservation)
    meters = lines_of(record) if record else []
    exact_sum = sum((line.exact for line in meters), Decimal(0))
    bookings = _bookings(reservation)
    request_id = reservation.request_id
    return CallPage(
        reservation=reservation,
        record=record,
        meters=meters,
        exact_sum=exact_sum,
        is_rounded=record is not None and exact_sum != in_units(record.amount_nanos),
        bookings=bookings,
        owed_nanos=sum(booking.effect_nanos for booking in bookings),
        periods=_periods(reservation),
        savings=list(
            Saving.objects.filter(request_id=request_id).order_by("attempt", "created_at")
        ),
        identity=identity(request_id),
        attempts=list(Reservation.objects.filter(request_id=request_id).order_by("attempt")),
        conversation_id=conversation_of_call(viewer, record) if record else None,
    )


def record_of(reservation: Reservation) -> UsageRecord | None:
    """Return what the call used; its time leads to the one partition it is in."""
    return UsageRecord.objects.filter(pk=reservation.pk, created_at=reservation.created_at).first()


def _bookings(reservation: Reservation) -> list[Booking]:
    # Each arm has its index: the call's own entries by the call, corrections by department and time.
    own = Q(kind__in=("SETTLEMENT", "EXCESS", "TRUE_UP"), reservation_id=reservation.pk)
    entries = list(LedgerEntry.objects.filter(own))
    entries += (
        LedgerEntry.objects.exclude(kind=LedgerEntry.Kind.SETTLEMENT)
        .filter(
            kind=LedgerEntry.Kind.CORRECTION,
            department=reservation.department_id,
            booked_at__gte=reservation.created_at,
            reservation_id=reservation.pk,
        )
        .select_related("author")
    )
    entries.sort(key=_posted)
    named = partial(account_name, department=reservation.department)
    return [
        Booking(entry, named(entry.debit), named(entry.credit), entry.effect_nanos)
        for entry in entries
    ]


def _posted(entry: LedgerEntry) -> tuple[datetime, str]:
    return entry.posted_at, entry.kind


def account_name(account: str, *, department: Department) -> str:
    """Return an account of an entry of this department as people read it."""
    kind, _colon, key = account.partition(":")
    if kind == "department":
        return str(department)
    if kind == "overdraft":
        return _t("%(department)s, above what was held") % {"department": department}
    return _t("Provider %(code)s") % {"code": key} if kind == "provider" else _t("Adjustments")


def _periods(reservation: Reservation) -> list[BudgetPeriod]:
    periods = BudgetPeriod.objects.filter(pk__in=reservation.period_ids)
    related = ("budget__department", "budget__user", "budget__api_key")
    return list(periods.select_related(*related).order_by("pk"))
