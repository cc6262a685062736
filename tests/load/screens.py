"""Every page of cost as somebody opens it, for measuring: the operator's, a head's, a member's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import ApiKey, Department, Membership, User
from apps.billing import calendar
from apps.billing.budgets import requests
from apps.billing.models import (
    Anomaly,
    Budget,
    BudgetRequest,
    LedgerEntry,
    RoiCase,
    Saving,
    Statement,
    UsageRecord,
)
from tests.load.surroundings import OPERATOR

PAGE = "admin:billing_"


@dataclass(frozen=True, slots=True)
class Screen:
    """One address, and who opens it."""

    name: str
    user: User
    url: str


def screens() -> Iterator[Screen]:
    """Yield all pages of a loaded and surrounded database."""
    operator = User.objects.get(email=OPERATOR)
    department = Department.objects.order_by("code")[7]
    member = Membership.objects.filter(department=department).order_by("user__email")[0].user
    head = Membership.objects.filter(department=department).order_by("user__email")[1]
    Membership.objects.filter(pk=head.pk).update(role=Membership.Role.HEAD)
    for name, url in (*_costs(member, department), *_lists(department), *_months(department)):
        yield Screen(f"admin: {name}", operator, url)
    for name, url in _of_member(member):
        yield Screen(f"web: {name}", member, url)
    for name, url in _of_head(department, member):
        yield Screen(f"web: {name}", head.user, url)


def months() -> tuple[str, str]:
    """Return the last month that is over and the one before, as "2026-10"."""
    last = calendar.previous_month(calendar.month_of(timezone.now())[0])
    return f"{last:%Y-%m}", f"{calendar.previous_month(last):%Y-%m}"


def _day(back: int) -> str:
    return (timezone.now().astimezone(calendar.zone()).date() - timedelta(days=back)).isoformat()


def _spans() -> dict[str, dict[str, str]]:
    first = date.fromisoformat(_day(0)).replace(day=1)
    return {
        "this month": {},
        "last month": {"month": months()[0]},
        "30 days": {"from": _day(45), "to": _day(16)},
        "one day": {"from": _day(12), "to": _day(12)},
        "a year": {"from": _day(364), "to": _day(0)},
        "13 months": {"from": first.replace(year=first.year - 1).isoformat(), "to": _day(0)},
    }


def _filters(member: User, department: Department) -> dict[str, dict[str, str]]:
    key = ApiKey.objects.order_by("prefix")[5]
    of = {"department": str(department.pk)}
    return {
        "organisation": {},
        "department": of,
        "person": {"person": member.email},
        "key": {"key": str(key.pk)},
        "product": {"product": "chat"},
        "purpose": {"purpose": "ANSWER"},
        "model": {"model": "north/small"},
        "tag": {"tag": "tag-1"},
        "product and tag": {"product": "chat", "tag": "tag-1"},
        "rare key": {"key": str(ApiKey.objects.order_by("-prefix")[0].pk), "purpose": "ANSWER"},
        "nothing": {"product": "documents", "purpose": "TITLE"},
        "department, product, purpose": {**of, "product": "chat", "purpose": "JUDGE"},
        "person and model": {"person": member.email, "model": "south/large"},
    }


def _costs(member: User, department: Department) -> Iterator[tuple[str, str]]:
    """Yield the overview and the list behind it for each filter and span."""
    totals, calls = (reverse(f"{PAGE}usagerecord_{name}") for name in ("totals", "changelist"))
    for of, chosen in _filters(member, department).items():
        for said, span in _spans().items():
            query = urlencode({**chosen, **span})
            yield f"costs, {of}, {said}", f"{totals}?{query}"
            yield f"calls, {of}, {said}", f"{calls}?{query}"
    year = _spans()["13 months"]
    for name, more in {"CSV": {"format": "csv"}, "all rows": {"rows": "all"}}.items():
        for said, span in {"13 months": year, "last month": {"month": months()[0]}}.items():
            yield f"costs, {name}, {said}", f"{totals}?{urlencode({**span, **more})}"
    for said, back in {"last month": 40, "a year ago": 370}.items():
        last = _some_call(back)
        query = urlencode({**year, "before": str(last.pk)})
        yield f"calls, next page, {said}", f"{calls}?{query}"
        tagged = urlencode({**year, "before": str(last.pk), "tag": "tag-1"})
        yield f"calls of a tag, next page, {said}", f"{calls}?{tagged}"
        yield f"one call of {said}", reverse(f"{PAGE}usagerecord_change", args=[last.pk])
    yield "find a call", f"{calls}?{urlencode({'q': str(_some_call(100).request_id)})}"


def _some_call(back: int) -> UsageRecord:
    at = timezone.now() - timedelta(days=back)
    return UsageRecord.objects.between(at, at + timedelta(days=7)).order_by("created_at")[0]


def _lists(department: Department) -> Iterator[tuple[str, str]]:
    """Yield the lists of ledger, reservations, budgets, prices, anomalies and savings, and a page of each."""
    ledger = reverse(f"{PAGE}ledgerentry_changelist")
    of = {"department__id__exact": str(department.pk)}
    queries: dict[str, dict[str, str]] = {
        "ledger": {},
        "ledger, second page": {"p": "2"},
        "ledger of a department": of,
        "ledger, settlements": {"kind__exact": "SETTLEMENT"},
        "ledger, corrections": {"kind__exact": "CORRECTION"},
        "ledger, corrections of a department": {"kind__in": "TRUE_UP,CORRECTION", **of},
        "ledger, excesses": {"kind__exact": "EXCESS"},
        "ledger, a span": {"booked_at_from_0": _day(60), "booked_at_to_0": _day(50)},
        "ledger, words": {"q": "put right"},
        "ledger, a call": {"q": str(_some_call(100).pk)},
    }
    for name, query in queries.items():
        yield name, f"{ledger}?{urlencode(query)}"
    yield "correct the ledger", reverse(f"{PAGE}ledgerentry_correct")
    correction = LedgerEntry.objects.filter(kind="CORRECTION")[0]
    yield "an entry", reverse(f"{PAGE}ledgerentry_change", args=[correction.pk])
    reservations = reverse(f"{PAGE}reservation_changelist")
    yield "reservations", reservations
    yield "reservations, open", f"{reservations}?state__exact=OPEN"
    yield "reservations, void", f"{reservations}?state__exact=VOID"
    yield "reservations, a request", f"{reservations}?q={_some_call(100).request_id}"
    for name in (
        *("budget", "budgetperiod", "budgetrequest", "budgetincrease", "budgetalert", "price"),
        *("anomaly", "saving", "roicase", "costtag", "sharedcost", "statement", "monthclose"),
    ):
        yield f"list of {name}", reverse(f"{PAGE}{name}_changelist")
    budget = Budget.objects.filter(department=department, user=None)[0]
    yield "a budget", reverse(f"{PAGE}budget_change", args=[budget.pk])
    yield "a request", reverse(f"{PAGE}budgetrequest_change", args=[_request().pk])
    yield "a price", f"{reverse(f'{PAGE}price_model')}?provider=north&model=small"
    for kind in (Anomaly.Kind.SPIKE, Anomaly.Kind.ONE_PERSON, Anomaly.Kind.DRIFT):
        found = Anomaly.objects.filter(kind=kind).order_by("-starts_at")[0]
        yield f"anomaly {kind}", reverse(f"{PAGE}anomaly_change", args=[found.pk])
    yield "savings of a department", f"{reverse(f'{PAGE}saving_changelist')}?{urlencode(of)}"
    saving = Saving.objects.order_by("-created_at")[0]
    yield "a saving", reverse(f"{PAGE}saving_change", args=[saving.pk])
    yield "ROI", reverse(f"{PAGE}roicase_change", args=[RoiCase.objects.all()[0].pk])


def _request() -> BudgetRequest:
    return BudgetRequest.objects.filter(state=BudgetRequest.State.WAITING).order_by("pk")[0]


def _months(department: Department) -> Iterator[tuple[str, str]]:
    """Yield the pages of months and of what was saved in them."""
    month = reverse(f"{PAGE}monthclose_month")
    last, closed = months()
    running = _day(0)[:7]
    yield "a month that is closed", f"{month}?month={closed}"
    yield "a month to be closed", f"{month}?month={last}"
    yield "the running month", f"{month}?month={running}"
    preview = reverse(f"{PAGE}monthclose_preview")
    yield "preview of a statement", f"{preview}?month={last}&department={department.code}"
    statements = reverse(f"{PAGE}monthclose_csv")
    yield "statements as CSV", f"{statements}?month={closed}"
    statement = Statement.objects.filter(department=department)[0]
    yield "a statement", reverse(f"{PAGE}statement_change", args=[statement.pk])
    report = reverse(f"{PAGE}saving_report")
    yield "savings, last month", f"{report}?month={last}"
    yield "savings, running month", report
    yield "savings of one department", f"{report}?month={last}&department={department.code}"
    yield "savings as CSV", f"{report}?month={last}&csv=1"


def _of_member(member: User) -> Iterator[tuple[str, str]]:
    last, _closed = months()
    usage, calls = reverse("billing:usage"), reverse("billing:calls")
    yield "my usage", usage
    yield "my usage, last month", f"{usage}?month={last}"
    yield "my usage as CSV", f"{reverse('billing:usage-csv')}?month={last}"
    yield "my calls", calls
    yield "my calls, last month", f"{calls}?month={last}"
    yield "my calls, a day", f"{calls}?day={_day(12)}"
    yield "my calls of a model", f"{calls}?month={last}&model=south/large"
    yield "my calls of a tag", f"{calls}?month={last}&tag=tag-1"
    first = UsageRecord.objects.filter(user=member).order_by("created_at")[0]
    yield "my first call", reverse("billing:call", args=[first.pk])
    budget = requests.concerning(member)[0]
    yield "ask for more", reverse("billing:ask", args=[budget.pk])


def _of_head(department: Department, member: User) -> Iterator[tuple[str, str]]:
    last, _closed = months()
    page = reverse("billing:department", args=[department.code])
    calls = reverse("billing:department-calls", args=[department.code])
    yield "my department", page
    yield "my department, last month", f"{page}?month={last}"
    csv = reverse("billing:department-csv", args=[department.code])
    yield "my department as CSV", f"{csv}?month={last}"
    yield "its calls", calls
    yield "its calls, last month", f"{calls}?month={last}"
    yield "its calls, a day", f"{calls}?day={_day(12)}"
    yield "its calls of a person", f"{calls}?month={last}&person={member.pk}"
    yield "its calls of a tag and a model", f"{calls}?month={last}&tag=tag-1&model=south/large"
    first = UsageRecord.objects.filter(department=department).order_by("created_at")[0]
    yield "one of its calls", reverse("billing:call", args=[first.pk])
    yield "a new cap", reverse("billing:new-cap", args=[department.code])
    cap = Budget.objects.filter(department=department, user__isnull=False)[0]
    yield "a cap", reverse("billing:cap", args=[cap.pk])
    asked = BudgetRequest.objects.filter(budget__department=department)[0]
    yield "a request", reverse("billing:request", args=[asked.pk])
    statement = Statement.objects.filter(department=department)[0]
    yield "a statement", reverse("billing:statement", args=[statement.pk])
