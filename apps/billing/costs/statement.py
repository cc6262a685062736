"""The one statement that reads a cost screen's figures: totals and the calls not yet in them, in one snapshot."""

from collections.abc import Collection
from typing import Any

from apps.billing import calendar
from apps.billing.costs.sources import (
    CALLS,
    DIMENSIONS,
    SUMS,
    Source,
    conditions,
    parameters,
    sources,
    whole_days,
)
from apps.billing.costs.types import CostFilter, Dimension

SUMMED = ", ".join(f"sum({one})::bigint AS {one}" for one in SUMS)
PLAIN = ", ".join(SUMS)
TOTAL = "TOTAL"
DAY = "DAY"

# What a row of the statement has before its sums: of what it is the sum, an id, and a code where there is no id.
_HEADS = {
    Dimension.DEPARTMENT: ("department_id", "department_id", "''"),
    Dimension.API_KEY: ("api_key_id", "api_key_id", "''"),
    Dimension.PRODUCT: ("product", "NULL::uuid", "product"),
    Dimension.PURPOSE: ("purpose", "NULL::uuid", "purpose"),
    Dimension.MODEL: ("provider_code, model_code", "NULL::uuid", "provider_code || '/' || model_code"),
}  # fmt: skip


class CostStatement:
    """Builds the statement; its rows are (of, id, code, name, *SUMS), the dearest of each `of` first."""

    def __init__(
        self,
        cost_filter: CostFilter,
        dimensions: Collection[Dimension],
        *,
        with_days: bool,
        limit: int | None,
    ) -> None:
        self._filter = cost_filter
        self._dimensions = dimensions
        self._is_of_one = cost_filter.user_id is not None
        self.values: dict[str, Any] = {
            **parameters(cost_filter),
            "zone": str(calendar.zone()),
            "limit": limit,
        }
        parts = [self._grouped()]
        if Dimension.TAG in dimensions:
            parts.append(
                f"SELECT 'TAG', NULL::uuid, tag, {SUMMED} FROM costs CROSS JOIN unnest(tags) AS tag GROUP BY tag"  # noqa: S608 - constants of this file
            )
        if Dimension.PERSON in dimensions:
            rows = self._rows("user_id", by_person=True)
            parts.append(
                f"SELECT 'PERSON', user_id, '', {SUMMED} FROM ({rows}) AS people GROUP BY user_id"  # noqa: S608 - as above
            )
        if with_days:
            rows = self._rows("starts_at", by_person=self._is_of_one, by_day=True)
            # Summed by their own moments first: far fewer are then turned into days.
            parts.append(
                f"SELECT '{DAY}', NULL::uuid, (starts_at AT TIME ZONE %(zone)s)::date::text, {SUMMED}"  # noqa: S608 - as above
                f" FROM (SELECT starts_at, {SUMMED} FROM ({rows}) AS days GROUP BY starts_at) AS days GROUP BY 3"
            )
        self.text = self._ranked(self._with(), " UNION ALL ".join(parts))

    def _with(self) -> str:
        asked = [_HEADS[one][0] for one in _HEADS if one in self._dimensions]
        columns = ", ".join([*asked, *(["tags"] if Dimension.TAG in self._dimensions else [])])
        rows = self._rows(columns or "NULL AS nothing", by_person=self._is_of_one)
        return (
            f"WITH fresh AS MATERIALIZED ({self._fresh()}),"  # noqa: S608 - as above
            f" costs AS MATERIALIZED (SELECT {columns or 'nothing'}, {SUMMED} FROM ({rows}) AS rows"
            f" GROUP BY {columns or 'nothing'})"
        )

    def _fresh(self) -> str:
        """Return the query of the calls not yet in the totals, within the whole days (the rest is read by call)."""
        first, last = whole_days(self._filter.starts_at, self._filter.ends_at)
        self.values |= {"first": first, "last": last}
        where = "".join(f" AND waiting.{one}" for one in conditions(self._filter))
        # Not flattened (OFFSET 0): each is looked up by its key in its own month's table, whatever is estimated.
        return (
            f"SELECT date_trunc('day', call.created_at, %(zone)s) AS starts_at, user_id, {DIMENSIONS}, {PLAIN}"  # noqa: S608 - as above
            " FROM (SELECT id, created_at FROM billing_reservation AS waiting"
            " WHERE waiting.state = 'SETTLED' AND NOT waiting.is_rolled_up"
            f" AND waiting.created_at >= %(first)s AND waiting.created_at < %(last)s{where}) AS waiting"
            f" CROSS JOIN LATERAL (SELECT * FROM {CALLS} AS cost WHERE cost.id = waiting.id"
            " AND cost.created_at = waiting.created_at"
            " AND cost.created_at >= %(first)s AND cost.created_at < %(last)s OFFSET 0) AS call"
        )

    def _rows(self, columns: str, *, by_person: bool, by_day: bool = False) -> str:
        """Return the query of all rows that make up the span, with these columns and the sums."""
        found = sources(self._filter, by_person=by_person, by_day=by_day)
        parts = [self._part(source, columns, by_person=by_person) for source in found]
        return " UNION ALL ".join([*parts, f"SELECT {columns}, {PLAIN} FROM fresh"])  # noqa: S608 - as above

    def _part(self, source: Source, columns: str, *, by_person: bool) -> str:
        number = len(self.values)
        self.values |= {f"from_{number}": source.starts_at, f"to_{number}": source.ends_at}
        if source.table == CALLS:
            columns = columns.replace("starts_at", "created_at AS starts_at")
        where = "".join(f" AND {one}" for one in conditions(self._filter, by_person=by_person))
        return (
            f"SELECT {columns}, {PLAIN} FROM {source.table} WHERE {source.moment} >= %(from_{number})s"  # noqa: S608 - as above
            f" AND {source.moment} < %(to_{number})s{where}"
        )

    def _grouped(self) -> str:
        """Return the query that sums `costs` by each of the dimensions it knows, and in all, in one pass."""
        asked = [one for one in _HEADS if one in self._dimensions]
        sets = ", ".join(["()", *(f"({_HEADS[one][0]})" for one in asked)])
        kinds, ids, codes = ["CASE"], ["CASE"], ["CASE"]
        for one in asked:
            columns, id_column, code = _HEADS[one]
            is_one = f" WHEN grouping({columns.split(', ')[-1]}) = 0 THEN"
            kinds.append(f"{is_one} '{one}'")
            ids.append(f"{is_one} {id_column}")
            codes.append(f"{is_one} {code}")
        if not asked:
            head = f"'{TOTAL}' AS of, NULL::uuid AS id, '' AS code"
        else:
            head = (
                f"{''.join(kinds)} ELSE '{TOTAL}' END AS of, {''.join(ids)} END AS id,"
                f" {''.join(codes)} ELSE '' END AS code"
            )
        return f"SELECT {head}, {SUMMED} FROM costs GROUP BY GROUPING SETS ({sets})"  # noqa: S608 - as above

    @staticmethod
    def _ranked(with_: str, lines: str) -> str:
        return (
            f"{with_}, lines AS ({lines}), ranked AS ("  # noqa: S608 - as above
            "SELECT *, row_number() OVER (PARTITION BY of ORDER BY amount_nanos DESC, call_count DESC, id, code) AS place"
            " FROM lines)"
            f" SELECT of, ranked.id, ranked.code, coalesce(department.name, key.name, nullif(person.full_name, ''), person.email, ''), {PLAIN}"
            " FROM ranked"
            " LEFT JOIN accounts_department AS department ON of = 'DEPARTMENT' AND department.id = ranked.id"
            " LEFT JOIN accounts_apikey AS key ON of = 'API_KEY' AND key.id = ranked.id"
            " LEFT JOIN accounts_user AS person ON of = 'PERSON' AND person.id = ranked.id"
            f" WHERE place <= %(limit)s OR %(limit)s IS NULL OR of = '{DAY}' ORDER BY of, place"
        )
