"""Reads a month's charges for the FOCUS export, a row at a time however many calls there were."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import TruncDay

from apps.accounts.models import ApiKey
from apps.billing import calendar
from apps.billing.errors import BillingError
from apps.billing.models import LedgerEntry, Meter, Price, Reservation, UsageRecord
from apps.billing.statements import focus
from apps.billing.statements.figures import METER_FIELDS, adjustments, signed_nanos, snapshot
from apps.billing.statements.focus import Charge, Metered, Period, Row
from apps.billing.statements.report import StatedMonth
from apps.core.csv import rows_to_csv
from apps.core.money import in_nanos

READ_AT_ONCE = 2000
# What the rows of a day agree in; a call is a group of its own with --detail.
BY_DAY = ("day", "department_id", "product", "purpose", "api_key_id", "provider_code", "model_code", "tags")  # fmt: skip
BY_CALL = ("created_at", "id", *BY_DAY[1:])


class ExportError(BillingError):
    """The rows do not add up to the statements."""


@dataclass(frozen=True, slots=True)
class _Names:
    """What rows name by id."""

    prices: dict[int, Price]
    api_keys: dict[UUID, ApiKey]


def focus_csv(month: StatedMonth, *, is_detailed: bool) -> Iterator[str]:
    """Yield the month's FOCUS rows as lines of CSV, in one snapshot; null is an empty field.

    Raises:
        ExportError: at the end, when what was billed is not the statements' total.
    """
    total_nanos = 0

    def cells() -> Iterator[list[object]]:
        nonlocal total_nanos
        for row in focus_rows(month, is_detailed=is_detailed):
            total_nanos += in_nanos(row["BilledCost"])  # type: ignore[arg-type]  # a Decimal in each row
            yield [row.get(name) for name in focus.COLUMNS]

    with snapshot():
        # Without the byte order mark: what reads FOCUS takes it for part of the first column's name.
        yield from islice(rows_to_csv(focus.COLUMNS, cells()), 1, None)
    if total_nanos != month.total_nanos:
        raise ExportError(
            f"the rows add up to {total_nanos} nanos, the statements to {month.total_nanos}"
        )


def focus_rows(month: StatedMonth, *, is_detailed: bool) -> Iterator[Row]:
    """Yield the month's charges: usage by day (or call), meter and price; adjustments; shared costs."""
    period = Period(month.starts_at, month.ends_at)
    common = {
        one.department_id: focus.common_columns(one, period, is_issued=month.is_closed)
        for one in month.statements
    }
    names = _Names(
        prices={price.pk: price for price in Price.objects.all()},
        api_keys={key.pk: key for key in ApiKey.objects.all()},
    )
    for keys, groups in _usage_groups(month, is_detailed=is_detailed):
        yield from _usage_rows(keys, groups, common, names)
    yield from _adjustment_rows(month, common)
    for one in month.statements:
        yield from focus.shared_rows(common[one.department_id], period, one.shared)


def _usage_groups(
    month: StatedMonth, *, is_detailed: bool
) -> Iterator[tuple[dict[str, Any], Iterator[dict[str, Any]]]]:
    records = UsageRecord.objects.between(month.starts_at, month.ends_at).filter(
        department__in=[one.department_id for one in month.statements]
    )
    # A call is a group of its own, and nothing is added up.
    keys, summed = (BY_CALL, F) if is_detailed else (BY_DAY, Sum)
    order = BY_CALL[:2] if is_detailed else (*BY_DAY, "price_ids")
    sums = {f"sum_{name}": summed(name) for name in METER_FIELDS.values()}
    rows: QuerySet[UsageRecord, dict[str, Any]] = (
        records.annotate(day=TruncDay("created_at", tzinfo=calendar.zone()))
        .values(*keys, "price_ids")
        .annotate(nanos=summed("amount_nanos"), **sums)
        .order_by(*order)
    )
    chosen = itemgetter(*keys)
    for values, group in groupby(rows.iterator(chunk_size=READ_AT_ONCE), key=chosen):
        yield dict(zip(keys, values, strict=True)), group


def _usage_rows(
    keys: dict[str, Any],
    groups: Iterator[dict[str, Any]],
    common: dict[UUID, Row],
    names: _Names,
) -> Iterator[Row]:
    """Add up what was charged by the same price row of the same meter, though by different sets of them."""
    charge = _charge(keys, common, names)
    rows: dict[tuple[Meter, int | None], Metered] = {}
    unmetered_nanos = 0
    for group in groups:
        quantities = {meter: int(group[f"sum_{name}"]) for meter, name in METER_FIELDS.items()}
        nanos = int(group["nanos"])
        parts = focus.billed_by_meter(quantities, group["price_ids"], names.prices, nanos)
        for key, part in parts.items():
            row = rows.setdefault(key, Metered())
            row.quantity += part.quantity
            row.billed_nanos += part.billed_nanos
        unmetered_nanos += 0 if parts else nanos
    for (meter, price_id), metered in rows.items():
        yield focus.usage_row(charge, meter, names.prices[price_id] if price_id else None, metered)
    if unmetered_nanos:
        yield focus.unmetered_row(charge, unmetered_nanos)


def _charge(keys: dict[str, Any], common: dict[UUID, Row], names: _Names) -> Charge:
    api_key = names.api_keys.get(keys["api_key_id"])
    resource: Row = {}
    if api_key:
        resource = {
            "ResourceId": f"api-key/{api_key.pk}",
            "ResourceName": api_key.name,
            "ResourceType": "API key",
        }
    call_id = keys.get("id")
    return Charge(
        common=common[keys["department_id"]],
        period=_period(keys),
        provider_code=keys["provider_code"],
        model_code=keys["model_code"],
        resource=resource,
        own={
            "x_Product": keys["product"],
            "x_Purpose": keys["purpose"],
            "x_CallId": str(call_id) if call_id else None,
        },
        tags=tuple(sorted(keys["tags"])),
    )


def _period(keys: dict[str, Any]) -> Period:
    """Return a day, or the second in which a call was opened: it never reaches into another month."""
    if "day" in keys:
        return Period(*calendar.day_of(keys["day"]))
    begun: datetime = keys["created_at"].replace(microsecond=0)
    return Period(begun, begun + timedelta(seconds=1))


def _adjustment_rows(month: StatedMonth, common: dict[UUID, Row]) -> Iterator[Row]:
    entries = adjustments(month.starts_at, month.ends_at).filter(department__in=list(common))
    calls = Reservation.objects.filter(pk=OuterRef("reservation_id"))
    dated = entries.annotate(called_at=Subquery(calls.values("created_at")[:1]))
    for entry in dated.iterator(chunk_size=READ_AT_ONCE):
        yield focus.adjustment_row(
            common[entry.department_id],
            Period(*calendar.day_of(entry.booked_at)),
            entry={
                "id": entry.pk,
                "kind": entry.kind,
                "reason": entry.reason,
                "provider": _provider(entry),
                "nanos": signed_nanos(entry),
            },
            is_of_earlier_month=bool(entry.called_at and entry.called_at < month.starts_at),
        )


def _provider(entry: LedgerEntry) -> str:
    """Return the provider an entry is with; empty: none."""
    accounts = (entry.debit, entry.credit)
    found = [one.removeprefix("provider:") for one in accounts if one.startswith("provider:")]
    return found[0] if found else ""
