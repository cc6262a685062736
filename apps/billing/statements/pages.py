"""A statement as people read it: its print page and its CSV; amounts exact, so that what is printed adds up."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.billing import calendar
from apps.billing.models import LedgerEntry, Meter, Purpose, SharedCost, Statement
from apps.billing.statements.drafting import month_code, month_title
from apps.core.money import NANOS_PER_UNIT, in_units

# Of the nine decimals a nano has, so many are what people look at.
MAJOR_DECIMALS = 2
HEADER = (
    "month", "department_code", "department_name", "part", "purpose", "provider", "model", "text", "calls",
    *(meter.value.lower() for meter in Meter), "amount", "currency",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount to the nano: "1,284.50", and the decimals after that, which matter less."""

    major: str
    minor: str
    is_credit: bool

    @classmethod
    def of(cls, nanos: int) -> "Amount":
        """Return the amount of so many nanos; the minus sign is a minus sign."""
        units, rest = divmod(abs(nanos), NANOS_PER_UNIT)
        decimals = f"{rest:09d}"
        sign = "−" if nanos < 0 else ""
        major = f"{sign}{units:,}.{decimals[:MAJOR_DECIMALS]}"
        return cls(major, decimals[MAJOR_DECIMALS:], nanos < 0)


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What was used for one purpose of one model."""

    purpose: str
    model: str
    provider: str
    quantities: Sequence[str]
    call_count: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class OtherLine:
    """An adjustment, or a part of a shared cost."""

    text: str
    detail: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Everything a statement's page shows; `number` is empty while the month is open."""

    number: str
    title: str
    department_name: str
    department_code: str
    currency: str
    starts_on: str
    ends_on: str
    zone: str
    closed_on: str
    lines: Sequence[UsageLine]
    call_count: int
    adjustments: Sequence[OtherLine]
    shared: Sequence[OtherLine]
    usage: Amount
    adjusted: Amount
    shared_sum: Amount
    total: Amount


def statement_page(statement: Statement) -> StatementPage:
    """Return what the page of a statement shows, frozen or drafted; reads its month and nothing else."""
    month = statement.month
    return StatementPage(
        number=str(statement.pk) if month.pk else "",
        title=month_title(month.starts_at),
        department_name=statement.department_name,
        department_code=statement.department_code,
        currency=statement.currency,
        starts_on=_day(month.starts_at),
        ends_on=_day(month.ends_at - datetime.resolution),
        zone=str(calendar.zone()),
        closed_on=_day(month.closed_at) if month.pk else "",
        lines=[_usage_line(line) for line in statement.lines],
        call_count=sum(line["call_count"] for line in statement.lines),
        adjustments=[
            OtherLine(*_adjustment(line), Amount.of(line["amount_nanos"]))
            for line in statement.adjustments
        ],
        shared=[
            OtherLine(line["name"], _share(line), Amount.of(line["amount_nanos"]))
            for line in statement.shared
        ],
        usage=Amount.of(statement.usage_nanos),
        adjusted=Amount.of(statement.adjustments_nanos),
        shared_sum=Amount.of(statement.shared_nanos),
        total=Amount.of(statement.total_nanos),
    )


def csv_rows(statements: Iterable[Statement]) -> Iterator[Sequence[object]]:
    """Yield the lines of statements, each ended by its total, as rows below HEADER."""
    nothing = [None] * len(Meter)
    for one in statements:
        head = (month_code(one.month.starts_at), one.department_code, one.department_name)

        def row(part: str, nanos: int, *, text: str = "", head: Any = head) -> list[object]:
            amount = (in_units(nanos), one.currency)  # noqa: B023 - called within this turn
            return [*head, part, "", "", "", text, None, *nothing, *amount]

        for line in one.lines:
            used = [line["tokens"].get(meter) for meter in Meter]
            names = (_purpose(line["purpose"]), line["provider_code"], line["model_code"])
            amount = in_units(line["amount_nanos"])
            yield [*head, _("usage"), *names, "", line["call_count"], *used, amount, one.currency]
        for line in one.adjustments:
            text = ": ".join(part for part in _adjustment(line) if part)
            yield row(_("adjustment"), line["amount_nanos"], text=text)
        for line in one.shared:
            text = f"{line['name']}: {_share(line)}"
            yield row(_("shared cost"), line["amount_nanos"], text=text)
        yield row(_("total"), one.total_nanos)


def _usage_line(line: Mapping[str, Any]) -> UsageLine:
    return UsageLine(
        purpose=_purpose(line["purpose"]),
        model=line["model_code"],
        provider=line["provider_code"],
        quantities=[
            _quantity(meter) % f"{line['tokens'][meter]:,}"
            for meter in Meter
            if line["tokens"].get(meter)
        ],
        call_count=line["call_count"],
        amount=Amount.of(line["amount_nanos"]),
    )


def _quantity(meter: Meter) -> str:
    """Return how so much of a meter is said."""
    said = {
        Meter.INPUT: _("%s input tokens"),
        Meter.CACHE_READ: _("%s read from the provider's cache"),
        Meter.CACHE_WRITE: _("%s written to the provider's cache"),
        Meter.OUTPUT: _("%s output tokens"),
        Meter.EMBEDDING: _("%s embedded tokens"),
        Meter.BATCH_INPUT: _("%s input tokens of batches"),
        Meter.BATCH_OUTPUT: _("%s output tokens of batches"),
        Meter.AUDIO: _("%s milliseconds of audio"),
    }
    return said[meter]


def _purpose(code: str) -> str:
    """Return what a purpose is called; one that is no more by its code."""
    return str(Purpose(code).label) if code in Purpose.values else code


def _adjustment(line: Mapping[str, Any]) -> tuple[str, str]:
    """Return what an adjustment is, and when and by whom it was made."""
    if line["kind"] == LedgerEntry.Kind.TRUE_UP:
        count = line["entry_count"]
        text = ngettext(
            "%(count)d estimated call put right", "%(count)d estimated calls put right", count
        )
        return text % {"count": count}, _("Their providers reported the usage later.")
    day = _day(datetime.fromisoformat(line["booked_at"]))
    if not line["author"]:
        return line["reason"], day
    return line["reason"], _("%(day)s, by %(person)s") % {"day": day, "person": line["author"]}


def _share(line: Mapping[str, Any]) -> str:
    """Return how a part of a shared cost came to be."""
    if line["is_source"]:
        return _("Spread over the departments that use it")
    how = {
        SharedCost.Method.PROPORTIONAL: _("%(percent)s %% of %(cost)s, by usage"),
        SharedCost.Method.FIXED: _("%(percent)s %% of %(cost)s, by fixed shares"),
        SharedCost.Method.EVEN: _("%(percent)s %% of %(cost)s, the same for all"),
    }[line["method"]]
    return how % {"percent": line["share_percent"], "cost": f"{in_units(line['cost_nanos']):,f}"}


def _day(moment: datetime) -> str:
    return date_format(moment.astimezone(calendar.zone()).date(), "j F Y")
