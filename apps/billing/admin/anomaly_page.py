"""What the page of an anomaly shows: its facts, the hours around it, and what the difference consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.billing.anomalies import series, service
from apps.billing.calendar import zone
from apps.billing.models import Anomaly, Price
from apps.core.money import NANOS_PER_UNIT, format_nanos

CALLS = "admin:billing_usagerecord_changelist"
HOURS_AROUND = 48
NEVER = 1e-9
FULL = 1000  # lengths of bars are thousandths


@dataclass(frozen=True, slots=True)
class CausePart:
    """One cause's part of the difference; `start` and `length` in thousandths of the bar's line."""

    name: str
    explained: str
    nanos: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Span:
    """One hour, or day, of the chart; `expected_nanos` None where nothing could be expected."""

    starts_at: datetime
    actual_nanos: int
    expected_nanos: int | None
    is_inside: bool


@dataclass(frozen=True, slots=True)
class AnomalyPage:
    """One anomaly as the page has it; `zero` is where the bars of the causes begin."""

    anomaly: Anomaly
    says: str
    difference_nanos: int
    causes: Sequence[CausePart]
    zero: int
    spans: Sequence[Span]
    is_daily: bool
    chart: dict[str, Any]
    calls_url: str

    @property
    def actual_label(self) -> str:
        """What the larger amount is."""
        is_price = self.anomaly.kind == Anomaly.Kind.PRICE_CHANGE
        return _("A week, at the new price") if is_price else _("Actual")

    @property
    def expected_says(self) -> str:
        """What the other amount is, in words."""
        amount = format_nanos(self.anomaly.expected_nanos)
        is_price = self.anomaly.kind == Anomaly.Kind.PRICE_CHANGE
        said = _("%(amount)s at the old price") if is_price else _("%(amount)s expected")
        return said % {"amount": amount}

    @property
    def is_moment(self) -> bool:
        """Whether it is of a moment, not of hours."""
        return self.anomaly.kind in (Anomaly.Kind.PRICE_CHANGE, Anomaly.Kind.UNKNOWN_MODEL)

    @property
    def reason(self) -> str:
        """Why it was raised: how often chance alone makes such hours, or which rule it was."""
        p_value = self.anomaly.p_value
        if self.anomaly.kind == Anomaly.Kind.DRIFT:
            return _("day by day above what is usual")
        if self.anomaly.kind != Anomaly.Kind.SPIKE or not 0 <= (p_value or 0.0) < 1:
            return _("raised by a rule, not by statistics")
        if not p_value or p_value < NEVER:
            return _("by chance alone next to never")
        return _("by chance alone 1 hour in %(hours)s") % {"hours": f"{1 / p_value:,.0f}"}


def anomaly_page(anomaly: Anomaly) -> AnomalyPage:
    """Return the page of an anomaly (two or three queries)."""
    is_daily = anomaly.kind == Anomaly.Kind.DRIFT
    spans = _spans(anomaly, is_daily=is_daily)
    parts, zero = cause_parts(anomaly.causes)
    return AnomalyPage(
        anomaly=anomaly,
        says=_says(anomaly),
        difference_nanos=anomaly.actual_nanos - anomaly.expected_nanos,
        causes=parts,
        zero=zero,
        spans=spans,
        is_daily=is_daily,
        chart=_chart(spans, is_daily=is_daily),
        calls_url=_calls_url(anomaly),
    )


def cause_parts(causes: dict[str, int]) -> tuple[list[CausePart], int]:
    """Return the bars of the causes to one scale, and where zero is: further right when a part saved money."""
    named = [
        ("volume", _("Number of calls"), _("more or fewer calls than in such hours")),
        ("tokens", _("Tokens per call"), _("longer or shorter questions and answers")),
        ("price_mix", _("Models and prices"), _("dearer or cheaper models, or changed prices")),
    ]
    amounts = {code: int(causes[code]) for code, _name, _explained in named if code in causes}
    below = -min([0, *amounts.values()])
    span = below + max([0, *amounts.values()])
    if not span:
        return [], 0
    zero = below * FULL // span
    parts = []
    for code, name, explained in named:
        nanos = amounts.get(code, 0)
        length = max(2, abs(nanos) * FULL // span) if nanos else 0
        start = min(zero if nanos >= 0 else max(zero - length, 0), FULL - length)
        parts.append(CausePart(name, explained, nanos, start, length))
    return parts, zero


def _says(anomaly: Anomaly) -> str:
    """What happened, in a sentence."""
    kind = Anomaly.Kind(anomaly.kind)
    if kind == Anomaly.Kind.UNKNOWN_MODEL:
        provider, _slash, model = anomaly.detail.partition("/")
        said = _("No department had used this model in the six weeks before.")
        if not Price.objects.of_model(provider_code=provider, model_code=model).exists():
            said += " " + _("It has no price: its calls cost nothing here, whatever they cost.")
        return said
    return {
        Anomaly.Kind.SPIKE: _(
            "These hours cost more than such hours of the week did in the last six weeks, by more than chance explains."
        ),
        Anomaly.Kind.BURN_RATE: _(
            "An hour took too large a share of the month's budget. Expected is the budget's even pace."
        ),
        Anomaly.Kind.PRICE_CHANGE: _(
            "A price came into force that differs from the one before. The amounts are what a week as those before would "
            "cost at the old price and at the new one."
        ),
        Anomaly.Kind.ONE_PERSON: _(
            "One person made most of the department's cost of a day, and had not in the four weeks before."
        ),
        Anomaly.Kind.DRIFT: _(
            "The days crept up against the weeks before, without any hour that stood out alone."
        ),
    }[kind]


def _spans(anomaly: Anomaly, *, is_daily: bool) -> list[Span]:
    if is_daily:
        since, actual, expected = service.days_watched(anomaly)
    else:
        since, actual, expected = service.hours_around(anomaly, hours=HOURS_AROUND)
    step = _step(is_daily=is_daily)
    starts = [since + number * step for number in range(len(actual))]
    return [
        Span(
            starts_at=starts_at,
            actual_nanos=round(float(nanos)),
            expected_nanos=None if np.isnan(mean) else round(float(mean)),
            is_inside=starts_at < anomaly.ends_at and starts_at + step > anomaly.starts_at,
        )
        for starts_at, nanos, mean in zip(starts, actual, expected, strict=True)
    ]


def _step(*, is_daily: bool) -> timedelta:
    return timedelta(days=1) if is_daily else series.HOUR


def _chart(spans: Sequence[Span], *, is_daily: bool) -> dict[str, Any]:
    inside = [span.starts_at for span in spans if span.is_inside]
    step = _step(is_daily=is_daily)
    return {
        "at": [int(span.starts_at.timestamp()) for span in spans],
        "actual": [span.actual_nanos / NANOS_PER_UNIT for span in spans],
        "expected": [
            None if span.expected_nanos is None else span.expected_nanos / NANOS_PER_UNIT
            for span in spans
        ],
        "readActual": [format_nanos(span.actual_nanos) for span in spans],
        "readExpected": [
            "–" if span.expected_nanos is None else format_nanos(span.expected_nanos)
            for span in spans
        ],
        "inside": [int(inside[0].timestamp()), int((inside[-1] + step).timestamp())]
        if inside
        else None,
        "step": int(step.total_seconds()),
        "zone": zone().key,
    }


def _calls_url(anomaly: Anomaly) -> str:
    last = anomaly.ends_at - timedelta(seconds=1)
    query = {
        "department": str(anomaly.department_id),
        "from": anomaly.starts_at.astimezone(zone()).date().isoformat(),
        "to": last.astimezone(zone()).date().isoformat(),
    }
    return f"{reverse(CALLS)}?{urlencode(query)}"
