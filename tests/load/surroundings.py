"""What an organisation of millions of calls has besides them: prices, budgets, closed months, corrections, anomalies."""

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from apps.accounts.models import ApiKey, Department, Membership, User
from apps.billing import calendar
from apps.billing.models import (
    Anomaly,
    Budget,
    BudgetAlert,
    BudgetIncrease,
    BudgetPeriod,
    BudgetRequest,
    CostTag,
    LedgerEntry,
    Meter,
    Price,
    RoiCase,
)
from apps.billing.statements import closing, drafting

UNIT = 10**9
OPERATOR = "load-operator@example.org"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# What tests/load/usage_rows.py charges, by nanos a token.
PRICES = {
    "north/small": (150, 600),
    "north/medium": (1100, 4400),
    "south/large": (2500, 10000),
    "north/embedder": (20, 0),
}
CAPS, CORRECTIONS, ANOMALIES, REQUESTS = 300, 3000, 400, 200


def surround() -> None:
    """Give a loaded database all of it; what is there already is left as it is."""
    if User.objects.filter(email=OPERATOR).exists():
        return
    User.objects.create(email=OPERATOR, full_name="Operator", password="!", is_operator=True)
    _prices()
    _corrections()
    _months()
    _budgets()
    _requests()
    _anomalies()
    CostTag.objects.bulk_create(CostTag(code=f"tag-{number}") for number in range(4))
    RoiCase.objects.create(
        name="Routing", monthly_before_nanos=9000 * UNIT, hours=120, hourly_rate_nanos=100 * UNIT
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _prices() -> None:
    Price.objects.bulk_create(
        Price(
            provider_code=name.partition("/")[0],
            model_code=name.partition("/")[2],
            meter=meter,
            nanos_per_million_tokens=nanos * 1_000_000,
            starts_at=LONG_AGO,
        )
        for name, prices in PRICES.items()
        for meter, nanos in zip((Meter.INPUT, Meter.OUTPUT), prices, strict=True)
    )


def _corrections() -> None:
    """Book a credit now and then over the whole time."""
    departments = [*Department.objects.order_by("code")]
    first, now = LedgerEntry.objects.order_by("pk")[0].booked_at, timezone.now()
    moments = [first + (now - first) * number / CORRECTIONS for number in range(CORRECTIONS)]
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            kind=LedgerEntry.Kind.CORRECTION,
            department=departments[number % len(departments)],
            debit="adjustments",
            credit=f"department:{departments[number % len(departments)].pk}",
            amount_nanos=1_000_000 + number,
            booked_at=moment,
            posted_at=moment,
            reason="An invoice was put right",
        )
        for number, moment in enumerate(moments)
    )


def _months() -> None:
    """Close all months that are over but the last, which an operator is about to close."""
    for starts_at in drafting.months_to_close(timezone.now())[:-1]:
        closing.close_month(starts_at=starts_at)


def _budgets() -> None:
    """Give each department a budget, the first keys one, some people a cap, and everybody one."""
    departments = [*Department.objects.order_by("code")]
    for department in departments:
        Budget.objects.create(department=department, limit_nanos=500 * UNIT)
    for key in ApiKey.objects.order_by("prefix")[:20]:
        Budget.objects.create(api_key=key, limit_nanos=100 * UNIT, period=Budget.Period.DAY)
    for member in Membership.objects.select_related("user").order_by("user__email")[:CAPS]:
        Budget.objects.create(
            department_id=member.department_id, user=member.user, limit_nanos=20 * UNIT
        )
    Budget.objects.create(limit_nanos=30_000 * UNIT)
    this, _after = calendar.month_of(timezone.now())
    before = this
    for _month in range(12):
        before, after = calendar.previous_month(before), before
        # With a gap: nobody checks what a period that was not counted whole has come to.
        BudgetPeriod.objects.bulk_create(
            BudgetPeriod(
                budget=budget, starts_at=before, ends_at=after, spent_nanos=UNIT, has_gaps=True
            )
            for budget in Budget.objects.filter(period=Budget.Period.MONTH)
        )


def _requests() -> None:
    """Have people ask for more of their caps; most are answered, and some got it."""
    now, operator = timezone.now(), User.objects.get(email=OPERATOR)
    caps = Budget.objects.filter(user__isnull=False).select_related("user")[:REQUESTS]
    for number, cap in enumerate(caps):
        is_waiting = number % 5 == 0
        request = BudgetRequest.objects.create(
            budget=cap,
            asker=cap.user,
            amount_nanos=UNIT,
            reason="A long report",
            state=BudgetRequest.State.WAITING if is_waiting else BudgetRequest.State.APPROVED,
            decided_by=None if is_waiting else operator,
            decided_at=None if is_waiting else now,
        )
        if not is_waiting:
            BudgetIncrease.objects.create(
                budget=cap,
                amount_nanos=UNIT,
                starts_at=now - timedelta(days=1),
                expires_at=now + timedelta(days=number % 20 + 1),
                approved_by=operator,
                request=request,
                reason="A long report",
            )
    periods = BudgetPeriod.objects.select_related("budget")
    BudgetAlert.objects.bulk_create(
        BudgetAlert(
            budget_period=period,
            kind=BudgetAlert.Kind.SPENT,
            percent=50,
            spent_nanos=UNIT,
            limit_nanos=2 * UNIT,
        )
        for period in periods
    )


def _anomalies() -> None:
    departments, now = [*Department.objects.order_by("code")], timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    kinds = (Anomaly.Kind.SPIKE, Anomaly.Kind.ONE_PERSON, Anomaly.Kind.DRIFT)
    Anomaly.objects.bulk_create(
        Anomaly(
            kind=kinds[number % 3],
            department=departments[number % len(departments)],
            starts_at=hour - timedelta(hours=20 * number + 30),
            ends_at=hour - timedelta(hours=20 * number + 27),
            expected_nanos=UNIT,
            actual_nanos=4 * UNIT,
            p_value=1e-6,
            causes={"volume": 2 * UNIT, "tokens": UNIT, "price_mix": 0},
        )
        for number in range(ANOMALIES)
    )
