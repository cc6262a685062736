"""What "my usage" and the page of a department show of one month: figures, days, rankings, budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.models import Department, User
from apps.billing import access, alerts, calendar
from apps.billing.budgets import approvers, requests
from apps.billing.costs import overview as costs
from apps.billing.costs.types import CostFilter, Dimension
from apps.billing.forecast import month_end
from apps.billing.models import BudgetAlert, Mechanism, Saving
from apps.billing.pages.budget_cards import BudgetCard, cards
from apps.billing.pages.month import LINES_SHOWN, MonthFigures, month_figures
from apps.billing.pages.requests import RequestPage, request_page
from apps.billing.spans import Span
from apps.core.money import format_nanos

STATEMENTS_SHOWN = 24
MILLISECONDS = 1000
EARLIER_ANSWERS = (Mechanism.EXACT_CACHE, Mechanism.SEMANTIC_CACHE)
MINE = (
    Dimension.MODEL,
    Dimension.PURPOSE,
    Dimension.PRODUCT,
    Dimension.DEPARTMENT,
    Dimension.API_KEY,
    Dimension.TAG,
)
OF_DEPARTMENT = (
    Dimension.PERSON,
    Dimension.MODEL,
    Dimension.PURPOSE,
    Dimension.PRODUCT,
    Dimension.API_KEY,
    Dimension.TAG,
)


@dataclass(frozen=True, slots=True)
class Saved:
    """What earlier answers saved one person: how many, money less its own cost, waiting."""

    answer_count: int
    net_nanos: int
    seconds: int


@dataclass(frozen=True, slots=True)
class AlertNote:
    """What a person is told of a budget, once it is so."""

    words: str


@dataclass(frozen=True, slots=True)
class UsagePage:
    """What "my usage" shows."""

    month: MonthFigures
    saved: Saved
    budgets: Sequence[BudgetCard]
    alerts: Sequence[AlertNote]
    waiting: Sequence[RequestPage]
    has_department: bool


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One closed month."""

    title: str
    url: str
    usage_nanos: int
    adjustments_nanos: int
    shared_nanos: int
    total_nanos: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the month will have cost at its end, with four cases of five between low and high."""

    middle_nanos: int
    low_nanos: int
    high_nanos: int
    has_history: bool


@dataclass(frozen=True, slots=True)
class DepartmentPage:
    """What the page of a department shows its heads; `outlook` None: the month has ended, or nothing is known yet."""

    name: str
    month: MonthFigures
    corrections_nanos: int
    owed_nanos: int
    outlook: Outlook | None
    budgets: Sequence[BudgetCard]
    caps: Sequence[BudgetCard]
    new_cap_url: str
    alerts: Sequence[AlertNote]
    waiting: Sequence[RequestPage]
    statements: Sequence[StatementLine]


def usage_page(
    *, user: User, span: Span, now: datetime, line_count: int = LINES_SHOWN
) -> UsagePage:
    """Return "my usage" of a month; `line_count` is the most lines of a ranking."""
    return UsagePage(
        month=month_figures(
            cost_filter=mine(user, span),
            dimensions=MINE,
            span=span,
            now=now,
            calls_url=reverse("billing:calls"),
            csv_url=reverse("billing:usage-csv"),
            line_count=line_count,
        ),
        saved=_saved(user, span),
        budgets=cards(requests.concerning(user), asker=user, now=now),
        alerts=[_note(alert) for alert in alerts.current_for(user)],
        waiting=[request_page(one, user=user, now=now) for one in requests.waiting_for(user)],
        has_department=user.memberships.exists(),
    )


def department_page(
    *,
    user: User,
    department: Department,
    span: Span,
    now: datetime,
    line_count: int = LINES_SHOWN,
) -> DepartmentPage:
    """Return a department's month as its head sees it; `line_count` is the most lines of a ranking."""
    asked = of_department(department, span)
    month = month_figures(
        cost_filter=asked,
        dimensions=OF_DEPARTMENT,
        span=span,
        now=now,
        calls_url=reverse("billing:department-calls", args=[department.code]),
        csv_url=reverse("billing:department-csv", args=[department.code]),
        line_count=line_count,
    )
    corrections = costs.corrections(asked)
    return DepartmentPage(
        name=department.name,
        month=month,
        corrections_nanos=corrections,
        owed_nanos=month.spent_nanos + corrections,
        outlook=_outlook(department, now) if span.is_running else None,
        budgets=cards(access.budgets_of(department), now=now),
        caps=cards(access.caps_of(department), now=now, are_caps=True),
        new_cap_url=reverse("billing:new-cap", args=[department.code]),
        alerts=[
            _note(alert)
            for alert in alerts.current_for(user)
            if approvers.department_id(alert.budget_period.budget) == department.pk
        ],
        waiting=[
            request_page(one, user=user, now=now)
            for one in requests.waiting_for(user).filter(access.asks_of(department))
        ],
        statements=_statements(user, department),
    )


def mine(user: User, span: Span) -> CostFilter:
    """Return what was spent for the person, whoever paid."""
    return CostFilter(starts_at=span.starts_at, ends_at=span.ends_at, user_id=user.pk)


def of_department(department: Department, span: Span) -> CostFilter:
    """Return what the department paid."""
    return CostFilter(
        starts_at=span.starts_at, ends_at=span.ends_at, department_ids=(department.pk,)
    )


def _outlook(department: Department, now: datetime) -> Outlook | None:
    """Return the forecast; None as long as there is nothing to go by."""
    found = month_end(department_id=department.pk, at=now)
    if found.p90_nanos == found.spent_nanos:
        return None
    return Outlook(found.p50_nanos, found.p10_nanos, found.p90_nanos, found.has_history)


def _note(alert: BudgetAlert) -> AlertNote:
    budget = alert.budget_period.budget
    words = {
        "budget": budget,
        "percent": alert.percent,
        "limit": format_nanos(alert.limit_nanos),
        "foreseen": format_nanos(alert.forecast_nanos or 0),
    }
    if budget.subject == "everybody":
        return AlertNote(_without_amounts(alert) % words)
    if alert.kind == BudgetAlert.Kind.FORECAST:
        return AlertNote(
            _(
                "%(budget)s: it will probably not last; at this pace %(foreseen)s will be spent of %(limit)s."
            )
            % words
        )
    if alert.spent_nanos * 100 < alert.limit_nanos * alert.percent:
        # Raised ahead of its share: calls hold more than is left.
        return AlertNote(
            _("%(budget)s: what is left of %(limit)s is too little for most questions.") % words
        )
    return AlertNote(_("%(budget)s: %(percent)s %% of %(limit)s is spent.") % words)


def _without_amounts(alert: BudgetAlert) -> str:
    """What the whole organisation spends is for its operators."""
    if alert.kind == BudgetAlert.Kind.FORECAST:
        return _("%(budget)s: it will probably not last.")
    if alert.spent_nanos * 100 < alert.limit_nanos * alert.percent:
        return _("%(budget)s: what is left is too little for most questions.")
    return _("%(budget)s: %(percent)s %% is spent.")


def _saved(user: User, span: Span) -> Saved:
    sums = Saving.objects.filter(
        user=user,
        mechanism__in=EARLIER_ANSWERS,
        created_at__gte=span.starts_at,
        created_at__lt=span.ends_at,
    ).aggregate(
        answers=Count("request_id", distinct=True, filter=Q(saved_nanos__gt=0)),
        saved=Sum("saved_nanos"),
        overhead=Sum("overhead_nanos"),
        milliseconds=Sum("saved_ms"),
    )
    return Saved(
        answer_count=sums["answers"],
        net_nanos=int(sums["saved"] or 0) - int(sums["overhead"] or 0),
        seconds=int(sums["milliseconds"] or 0) // MILLISECONDS,
    )


def _statements(user: User, department: Department) -> list[StatementLine]:
    closed = (
        access.visible_statements(user)
        .filter(department=department)
        .select_related("month")
        .order_by("-month__starts_at")[:STATEMENTS_SHOWN]
    )
    return [
        StatementLine(
            title=date_format(statement.month.starts_at.astimezone(calendar.zone()), "F Y"),
            url=reverse("billing:statement", args=[statement.pk]),
            usage_nanos=statement.usage_nanos,
            adjustments_nanos=statement.adjustments_nanos,
            shared_nanos=statement.shared_nanos,
            total_nanos=statement.total_nanos,
        )
        for statement in closed
    ]
