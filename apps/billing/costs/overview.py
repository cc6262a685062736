"""The figures of cost screens: equal to the ledger at every moment, corrections apart."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from apps.billing import calendar
from apps.billing.costs.drill_down import calls
from apps.billing.costs.statement import DAY, TOTAL, CostStatement
from apps.billing.costs.types import CostFilter, CostLine, CostOverview, DayCost, Dimension
from apps.billing.models import LedgerEntry, Product, Purpose

__all__ = [
    "CostFilter",
    "CostLine",
    "CostOverview",
    "DayCost",
    "Dimension",
    "by",
    "by_day",
    "calls",
    "corrections",
    "overview",
    "total",
]


def overview(
    cost_filter: CostFilter, dimensions: Collection[Dimension], *, limit: int | None = 10
) -> CostOverview:
    """Return a screen's figures (one query): in all, by day, and by each dimension its `limit` dearest lines."""
    return _read(cost_filter, dimensions, with_days=True, limit=limit)


def total(cost_filter: CostFilter) -> CostLine:
    """Return the sum over all calls of the filter."""
    return _read(cost_filter, (), with_days=False, limit=None).total


def by_day(cost_filter: CostFilter) -> list[DayCost]:
    """Return the cost of every day of the span, those without calls too."""
    return [*_read(cost_filter, (), with_days=True, limit=None).days]


def by(cost_filter: CostFilter, dimension: Dimension, *, limit: int | None = 10) -> list[CostLine]:
    """Return the `limit` dearest lines of a dimension; None: all."""
    return _read(cost_filter, (dimension,), with_days=False, limit=limit).lines[dimension]


def corrections(cost_filter: CostFilter) -> int:
    """Return what corrections and late usage added to the span, in nanos; negative: credited on the whole.

    Of the filter only the span and the departments count: a correction has no other dimension.
    """
    entries = LedgerEntry.objects.filter(
        Q(kind=LedgerEntry.Kind.TRUE_UP) | Q(kind=LedgerEntry.Kind.CORRECTION),
        booked_at__gte=cost_filter.starts_at,
        booked_at__lt=cost_filter.ends_at,
    )
    if cost_filter.department_ids is not None:
        entries = entries.filter(department_id__in=cost_filter.department_ids)
    return entries.owed_nanos()


def _read(
    cost_filter: CostFilter,
    dimensions: Collection[Dimension],
    *,
    with_days: bool,
    limit: int | None,
) -> CostOverview:
    statement = CostStatement(cost_filter, dimensions, with_days=with_days, limit=limit)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.values)
        rows = cursor.fetchall()
    in_all = CostLine("", "", 0, 0, 0, 0, 0)
    lines: dict[Dimension, list[CostLine]] = {one: [] for one in dimensions}
    days: dict[str, DayCost] = {}
    for of, row_id, code, name, *sums in rows:
        if of == TOTAL and sums[0] is not None:
            in_all = CostLine("", "", *sums)
        elif of == DAY:
            days[code] = DayCost(date.fromisoformat(code), sums[0], sums[-1])
        elif of != TOTAL:
            lines[Dimension(of)].append(_line(Dimension(of), row_id, code, name, sums))
    return CostOverview(
        total=in_all, days=_every_day(cost_filter, days) if with_days else [], lines=lines
    )


def _line(
    dimension: Dimension, row_id: UUID | None, code: str, name: str, sums: Sequence[int]
) -> CostLine:
    if row_id is None and dimension is Dimension.PERSON:
        name = _("Nobody: Parley itself")
    elif row_id is None and dimension is Dimension.API_KEY:
        name = _("Without a key")
    elif dimension is Dimension.PURPOSE:
        name = str(Purpose(code).label)
    elif dimension is Dimension.PRODUCT:
        name = Product.name_of(code)
    elif dimension is Dimension.MODEL:
        name = code.partition("/")[2]
    return CostLine(str(row_id or code), name or code, *sums)


def _every_day(cost_filter: CostFilter, days: dict[str, DayCost]) -> list[DayCost]:
    zone = calendar.zone()
    first = cost_filter.starts_at.astimezone(zone).date()
    last = (cost_filter.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    every = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [days.get(day.isoformat(), DayCost(day, 0, 0)) for day in every]
