"""Reads a month's charges for the FOCUS export, a row at a time however many calls there were."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import compress, groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db.models import F, Func, OuterRef, QuerySet, Subquery, Sum, TextField
from django.db.models.functions import Cast, JSONArray, TruncDay

from apps.accounts.models import ApiKey
from apps.billing import calendar
from apps.billing.errors import BillingError
from apps.billing.models import LedgerEntry, Meter, Price, Reservation, UsageRecord
from apps.billing.statements import focus
from apps.billing.statements.figures import adjustments, snapshot
from apps.billing.statements.focus import Charge, Period, Row
from apps.billing.statements.focus_lines import UsageLines, line_of
from apps.billing.statements.report import StatedMonth
from apps.billing.types import COUNTED_IN
from apps.core.money import in_nanos

READ_AT_ONCE = 2000
# What the calls of a charge agree in.
CHARGE = ("department_id", "product", "purpose", "api_key_id", "provider_code", "model_code", "tags", "price_ids")  # fmt: skip
METERS, FIELDS = tuple(COUNTED_IN), tuple(COUNTED_IN.values())
# How many charges keep their lines' texts; a large month has some thousand, at some kB each.
KEPT_CHARGES = 8192


class ExportError(BillingError):
    """The rows do not add up to the statements."""


def focus_csv(month: StatedMonth, *, is_detailed: bool) -> Iterator[str]:
    """Yield the month's FOCUS rows as lines of CSV, in one snapshot; null is an empty field.

    Raises:
        ExportError: at the end, when what was billed is not the statements' total.
    """
    total_nanos = 0
    with snapshot():
        # Without the byte order mark: what reads FOCUS takes it for part of the first column's name.
        yield line_of(dict(zip(focus.COLUMNS, focus.COLUMNS, strict=True)))
        for nanos, line in _lines(month, is_detailed=is_detailed):
            total_nanos += nanos
            yield line
    if total_nanos != month.total_nanos:
        raise ExportError(
            f"the rows add up to {total_nanos} nanos, the statements to {month.total_nanos}"
        )


def _lines(month: StatedMonth, *, is_detailed: bool) -> Iterator[tuple[int, str]]:
    """Yield what rows bill and their lines: usage by day (or call), meter and price; adjustments; shared costs."""
    period = Period(month.starts_at, month.ends_at)
    common = {
        one.department_id: focus.common_columns(one, period, is_issued=month.is_closed)
        for one in month.statements
    }
    charged = Charged(common)
    yield from (_calls if is_detailed else _days)(month, charged)
    for row in _adjustment_rows(month, common):
        yield in_nanos(row["BilledCost"]), line_of(row)  # type: ignore[arg-type]  # a Decimal in each row
    for one in month.statements:
        for row in focus.shared_rows(common[one.department_id], period, one.shared):
            yield in_nanos(row["BilledCost"]), line_of(row)  # type: ignore[arg-type]  # as above


class Charged:
    """Knows the lines of each charge: of each of METERS, at the prices its calls were charged by."""

    def __init__(self, common: dict[UUID, Row]) -> None:
        self._common = {str(department_id): row for department_id, row in common.items()}
        self._prices = {price.pk: price for price in Price.objects.all()}
        self._api_keys = {str(key.pk): key for key in ApiKey.objects.all()}
        self.lines = lru_cache(maxsize=KEPT_CHARGES)(self._lines)

    def _lines(self, charge: str) -> tuple[UsageLines, ...]:
        """Return the lines of a charge, named by the JSON array of its CHARGE."""
        *named, price_ids = json.loads(charge)
        one = self._charge(*named)
        return tuple(
            UsageLines(one, meter, self._prices.get(price_ids.get(meter))) for meter in METERS
        )

    def _charge(
        self,
        department_id: str,
        product: str,
        purpose: str,
        api_key_id: str | None,
        provider_code: str,
        model_code: str,
        tags: Sequence[str],
    ) -> Charge:
        api_key = self._api_keys.get(api_key_id or "")
        resource: Row = {}
        if api_key:
            resource = {
                "ResourceId": f"api-key/{api_key.pk}",
                "ResourceName": api_key.name,
                "ResourceType": "API key",
            }
        return Charge(
            common=self._common[department_id],
            provider_code=provider_code,
            model_code=model_code,
            resource=resource,
            own={"x_Product": product, "x_Purpose": purpose},
            tags=tuple(sorted(tags)),
        )


def _calls(month: StatedMonth, charged: Charged) -> Iterator[tuple[int, str]]:
    """Yield each call's lines, in the second in which it was opened: it never reaches into another month."""
    rows = (
        _records(month)
        .annotate(
            begun=_FocusTime("created_at"),
            over=_FocusTime(F("created_at") + timedelta(seconds=1)),
            name=Cast("id", TextField()),
            charge=Cast(JSONArray(*CHARGE), TextField()),
        )
        .values_list("begun", "over", "name", "charge", "amount_nanos", *FIELDS)
        .order_by("created_at", "id")
    )
    for begun, over, name, charge, nanos, *counted in rows.iterator(chunk_size=READ_AT_ONCE):
        all_lines = charged.lines(charge)
        quantities = [*compress(counted, counted)]
        if not quantities:
            if nanos:
                row = focus.unmetered_row(all_lines[0].charge, nanos, (begun, over), name)
                yield nanos, line_of(row)
            continue
        lines = [*compress(all_lines, counted)]
        parts = focus.billed_by_meter(nanos, quantities, [one.nanos for one in lines])
        yield (
            nanos,
            "".join(
                [
                    one.line(quantity, part, begun, over, name)
                    for one, quantity, part in zip(lines, quantities, parts, strict=True)
                ]
            ),
        )


def _days(month: StatedMonth, charged: Charged) -> Iterator[tuple[int, str]]:
    """Yield the lines of each day: what was charged by the same price row of the same meter is added up."""
    rows = (
        _records(month)
        .annotate(day=TruncDay("created_at", tzinfo=calendar.zone()))
        .values_list("day", *CHARGE)
        .annotate(nanos=Sum("amount_nanos"), **{f"sum_{name}": Sum(name) for name in FIELDS})
        .order_by("day", *CHARGE)
    )
    for (day, *_charge), group in groupby(
        rows.iterator(chunk_size=READ_AT_ONCE), key=itemgetter(slice(0, len(CHARGE)))
    ):
        starts_at, ends_at = calendar.day_of(day)
        period = (focus.focus_time(starts_at), focus.focus_time(ends_at))
        yield from _day(charged, period, (row[1:] for row in group))


def _day(
    charged: Charged, period: tuple[str, str], group: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[int, str]]:
    used: dict[tuple[Meter, int | None], tuple[UsageLines, int, int]] = {}
    unmetered_nanos = 0
    for row in group:
        charge, (nanos, *counted) = row[: len(CHARGE)], map(int, row[len(CHARGE) :])
        all_lines = charged.lines(json.dumps(charge, default=str))
        lines, quantities = [*compress(all_lines, counted)], [*compress(counted, counted)]
        if not lines:
            unmetered_nanos += nanos
            continue
        parts = focus.billed_by_meter(nanos, quantities, [one.nanos for one in lines])
        for one, quantity, part in zip(lines, quantities, parts, strict=True):
            key = (one.meter, one.price.pk if one.price else None)
            first, quantity_before, nanos_before = used.get(key, (one, 0, 0))
            used[key] = first, quantity_before + quantity, nanos_before + part
    for one, quantity, nanos in used.values():
        yield nanos, one.line(quantity, nanos, *period)
    if unmetered_nanos:
        yield (
            unmetered_nanos,
            line_of(focus.unmetered_row(all_lines[0].charge, unmetered_nanos, period)),
        )


class _FocusTime(Func):
    """A moment as `focus.focus_time` writes it, by PostgreSQL."""

    template = "to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    output_field = TextField()


def _records(month: StatedMonth) -> QuerySet[UsageRecord]:
    return UsageRecord.objects.between(month.starts_at, month.ends_at).filter(
        department__in=[one.department_id for one in month.statements]
    )


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
                "nanos": entry.effect_nanos,
            },
            is_of_earlier_month=bool(entry.called_at and entry.called_at < month.starts_at),
        )


def _provider(entry: LedgerEntry) -> str:
    """Return the provider an entry is with; empty: none."""
    accounts = (entry.debit, entry.credit)
    found = [one.removeprefix("provider:") for one in accounts if one.startswith("provider:")]
    return found[0] if found else ""
