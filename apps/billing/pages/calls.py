"""The list of single calls, filtered, and what one call cost by meter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.billing import access, spans
from apps.billing.costs import overview as costs
from apps.billing.costs.drill_down import calls
from apps.billing.costs.types import CostFilter, Dimension
from apps.billing.models import LedgerEntry, Outcome, UsageRecord
from apps.billing.pages.budget_cards import moment, short_moment
from apps.billing.pages.call_lines import CallLine, lines_of
from apps.billing.pages.month import PARAMETERS, TITLES
from apps.billing.spans import Span

PAGE_SIZE = 50
CHOICES_SHOWN = 50


class QuestionError(ValueError):
    """A filter of the address cannot be read."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which calls are asked for: a month or day, and values by dimension."""

    span: Span
    chosen: Mapping[Dimension, str]
    before: UUID | None


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of the list; `choices` are (value, name)."""

    parameter: str
    title: str
    choices: Sequence[tuple[str, str]]
    chosen: str


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call of the list; `outcome` is empty for one that was completed."""

    url: str
    at: str
    purpose: str
    outcome: str
    person: str
    model_code: str
    input_tokens: int
    output_tokens: int
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class CallsPage:
    """A page of calls; the figures are those of all that fit the filters."""

    heading: str
    title: str
    total_nanos: int
    call_count: int
    filters: Sequence[Filter]
    kept: Sequence[tuple[str, str]]
    rows: Sequence[CallRow]
    has_people: bool
    csv_url: str
    whole_url: str
    first_url: str
    older_url: str


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """What was put right of a call afterwards; a negative amount was credited."""

    at: str
    reason: str
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class CallPage:
    """One call, with what it consisted of."""

    id: UUID
    at: str
    zone: str
    purpose: str
    outcome: str
    is_estimated: bool
    provider_code: str
    model_code: str
    person: str
    department: str
    api_key: str
    product: str
    tags: Sequence[str]
    elapsed_ms: int
    amount_nanos: int
    lines: Sequence[CallLine]
    corrections: Sequence[CorrectionLine]
    conversation_url: str
    list_url: str


def read_question(sent: Mapping[str, str], *, now: datetime) -> Question:
    """Return what an address asks for.

    Raises:
        QuestionError, SpanError: a part of it cannot be read.
    """
    span = spans.read_span(month=sent.get("month", ""), day=sent.get("day", ""), now=now)
    chosen = {
        dimension: sent[parameter]
        for dimension, parameter in PARAMETERS.items()
        if sent.get(parameter)
    }
    before = sent.get("before", "")
    return Question(span, chosen, _uuid(before) if before else None)


def narrowed(cost_filter: CostFilter, question: Question) -> CostFilter:
    """Return the filter with what is asked for; it never grows wider.

    Raises:
        QuestionError: a value is none of its kind.
    """
    fields: dict[str, Any] = {}
    for dimension, value in question.chosen.items():
        if "\x00" in value:
            raise QuestionError(value)
        if dimension is Dimension.MODEL:
            fields["provider_code"], _slash, fields["model_code"] = value.partition("/")
        elif dimension is Dimension.DEPARTMENT:
            fields["department_ids"] = _within(cost_filter.department_ids, _uuid(value))
        elif dimension is Dimension.PERSON:
            asked = _uuid(value)
            # Somebody else's calls among one's own: none.
            if cost_filter.user_id not in {None, asked}:
                fields["department_ids"] = ()
            else:
                fields["user_id"] = asked
        elif dimension is Dimension.API_KEY:
            fields["api_key_id"] = _uuid(value)
        else:
            fields[PARAMETERS[dimension]] = value
    return replace(cost_filter, **fields)


def calls_page(
    *,
    heading: str,
    cost_filter: CostFilter,
    question: Question,
    dimensions: Sequence[Dimension],
    urls: tuple[str, str],
) -> CallsPage:
    """Return a page of the calls within `cost_filter` that are asked for; `urls` are the list's own and its CSV's.

    Raises:
        QuestionError: a value asked for is none of its kind.
    """
    url, csv_url = urls
    asked = narrowed(cost_filter, question)
    whole = costs.overview(cost_filter, dimensions, limit=CHOICES_SHOWN)
    total = costs.total(asked) if question.chosen else whole.total
    found = calls(asked, before=question.before, count=PAGE_SIZE + 1)
    shown = found[:PAGE_SIZE]
    query = _query(question)
    return CallsPage(
        heading=heading,
        title=question.span.title,
        total_nanos=total.amount_nanos,
        call_count=total.call_count,
        filters=[
            _filter(dimension, [(line.key, line.name) for line in whole.lines[dimension]], question)
            for dimension in dimensions
            if len(whole.lines[dimension]) > 1 or dimension in question.chosen
        ],
        kept=[("day" if question.span.is_day else "month", question.span.query.partition("=")[2])],
        rows=[_row(record) for record in shown],
        has_people=Dimension.PERSON in dimensions,
        csv_url=f"{csv_url}?{query}",
        whole_url=f"{url}?month={question.span.month}"
        if question.chosen or question.span.is_day
        else "",
        first_url=f"{url}?{query}" if question.before else "",
        older_url=f"{url}?{query}&before={shown[-1].pk}" if len(found) > PAGE_SIZE else "",
    )


def call_page(*, user: User, record: UsageRecord, list_url: str) -> CallPage:
    """Return one call the person may see; of others' calls nothing leads to what was said."""
    conversation_id = access.conversation_of_call(user, record)
    return CallPage(
        id=record.pk,
        at=moment(record.created_at),
        zone=spans.zone_name(),
        purpose=str(record.get_purpose_display()),
        outcome=str(record.get_outcome_display()),
        is_estimated=record.is_estimated,
        provider_code=record.provider_code,
        model_code=record.model_code,
        person=str(record.user) if record.user else "",
        department=str(record.department),
        api_key=str(record.api_key) if record.api_key else "",
        product=record.product_name,
        tags=record.tags,
        elapsed_ms=record.elapsed_ms,
        amount_nanos=record.amount_nanos,
        lines=lines_of(record),
        corrections=_corrections(record),
        conversation_url=reverse("chat:conversation-detail", args=[conversation_id])
        if conversation_id
        else "",
        list_url=_month_of(record, list_url),
    )


def _month_of(record: UsageRecord, list_url: str) -> str:
    return f"{list_url}?{spans.month_span(record.created_at, now=record.created_at).query}"


def _row(record: UsageRecord) -> CallRow:
    is_whole = record.outcome == Outcome.COMPLETED
    return CallRow(
        url=reverse("billing:call", args=[record.pk]),
        at=short_moment(record.created_at),
        purpose=str(record.get_purpose_display()),
        outcome="" if is_whole else str(record.get_outcome_display()),
        person=str(record.user) if record.user else _("Nobody"),
        model_code=record.model_code,
        input_tokens=record.input_tokens
        + record.cached_input_tokens
        + record.cache_write_tokens
        + record.embedding_tokens
        + record.batch_input_tokens,
        output_tokens=record.output_tokens + record.batch_output_tokens,
        amount_nanos=record.amount_nanos,
    )


def _filter(dimension: Dimension, lines: Sequence[tuple[str, str]], question: Question) -> Filter:
    chosen = question.chosen.get(dimension, "")
    choices = [(key, name) for key, name in lines if key]
    if chosen and chosen not in {key for key, _name in choices}:
        choices = [(chosen, chosen), *choices]
    return Filter(PARAMETERS[dimension], str(TITLES[dimension]), choices, chosen)


def _corrections(record: UsageRecord) -> list[CorrectionLine]:
    # The department and the time lead to the index of what is no settlement.
    entries = LedgerEntry.objects.filter(
        ~Q(kind=LedgerEntry.Kind.SETTLEMENT) & ~Q(kind=LedgerEntry.Kind.EXCESS),
        department=record.department_id,
        booked_at__gte=record.created_at,
        reservation_id=record.pk,
    ).order_by("posted_at")
    return [
        CorrectionLine(
            at=moment(entry.posted_at),
            reason=entry.reason or str(entry.get_kind_display()),
            amount_nanos=entry.amount_nanos
            if entry.debit.startswith(("department:", "overdraft:"))
            else -entry.amount_nanos,
        )
        for entry in entries
    ]


def _query(question: Question) -> str:
    values = {PARAMETERS[dimension]: value for dimension, value in question.chosen.items()}
    return "&".join(filter(None, [question.span.query, urlencode(values)]))


def _within(allowed: tuple[UUID, ...] | None, asked: UUID) -> tuple[UUID, ...]:
    return (asked,) if allowed is None or asked in allowed else ()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise QuestionError(text) from error
