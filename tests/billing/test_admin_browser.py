"""The admin's pages of money in a real browser, with a month of data and with none: looked at, in both themes, narrow and wide."""

import random
from datetime import datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from axe_playwright_python.async_playwright import Axe
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import Browser, Page, expect

from apps.accounts.models import ApiKey, Department, User
from apps.billing import calendar, services
from apps.billing.budgets import requests
from apps.billing.costs import rollups
from apps.billing.models import (
    Budget,
    BudgetIncrease,
    BudgetRequest,
    CostTag,
    Mechanism,
    Meter,
    Outcome,
    Purpose,
    UsageRecord,
)
from apps.billing.types import Usage
from tests.browsing import SHOTS, signed_in
from tests.chat.serving import Server
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, call_context

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

UNIT = 10**9
MODELS = {"swift-2": (150_000_000, 600_000_000), "deep-5": (3_000_000_000, 15_000_000_000)}
DEPARTMENTS = ("Sales", "Customer support", "Research and development")
NAMES = ("Ada Lindqvist", "Bruno Castellanos", "Chiyo Tanaka", "Dmitri Aleksandrov-Petersen")
SATURDAY = 5
LOOKS = (("light", 1280), ("dark", 360))
EMPTY = {
    "overview": "/admin/billing/usagerecord/totals/",
    "calls": "/admin/billing/usagerecord/",
}


def two_months_of_calls(owner: User) -> tuple[UsageRecord, Budget, BudgetRequest]:
    """Make calls since last month began, budgets near their limits and a request for more.

    Returns a call of now, a budget that was raised, and the request.
    """
    chance = random.Random(4)
    for code, (price_in, price_out) in MODELS.items():
        for meter, nanos in (
            (Meter.INPUT, price_in),
            (Meter.CACHE_READ, price_in // 10),
            (Meter.OUTPUT, price_out),
        ):
            PriceFactory(model_code=code, meter=meter, nanos_per_million_tokens=nanos)
    departments = [DepartmentFactory(name=name) for name in DEPARTMENTS]
    people = [UserFactory(full_name=name, department=chance.choice(departments)) for name in NAMES]
    key = ApiKey.objects.create(
        name="Nightly reports", prefix="pk_n1ght", secret_hash=b"x", owner=owner, department=departments[0]
    )  # fmt: skip
    CostTag.objects.create(code="audit-2026")
    budget, asked = budgets(owner, departments)
    now = timezone.now()
    moment = calendar.previous_month(calendar.month_of(now)[0]) + timedelta(hours=9)
    while moment < now:
        for _ in range(chance.choice((0, 1, 2)) if moment.weekday() < SATURDAY else 0):
            person = chance.choice(people)
            is_batch = chance.random() < 0.2
            one_call(
                chance,
                moment + timedelta(minutes=chance.randrange(60)),
                user_id=person.pk,
                department_id=chance.choice(departments).pk,
                api_key_id=key.pk if is_batch else None,
                product="api" if is_batch else chance.choice(("chat", "chat", "documents")),
                purpose=chance.choice((Purpose.ANSWER, Purpose.ANSWER, Purpose.TITLE)),
                tags=("audit-2026",) if chance.random() < 0.3 else (),
            )
        moment += timedelta(days=1)
    while rollups.roll_up():
        pass
    call = one_call(chance, now, user_id=owner.pk, department_id=departments[0].pk)
    return call, budget, asked


def budgets(owner: User, departments: list[Department]) -> tuple[Budget, BudgetRequest]:
    """Make budgets of departments, one raised, and of a person who asks for more."""
    for department, units, soft in zip(departments[1:], (1200, 40), (None, 2), strict=True):
        BudgetFactory(
            department=department,
            limit_nanos=units * UNIT,
            soft_limit_nanos=soft * UNIT if soft else None,
        )
    BudgetFactory(department=None, limit_nanos=1500 * UNIT, period=Budget.Period.TOTAL)
    raised = BudgetFactory(department=departments[0], limit_nanos=60 * UNIT)
    BudgetIncrease.objects.create(
        budget=raised,
        amount_nanos=20 * UNIT,
        expires_at=timezone.now() + timedelta(days=5),
        reason="Quarter's close",
    )
    MembershipFactory(user=owner, department=departments[0])
    asked = requests.ask(
        asker=owner, budget_id=raised.pk, amount_nanos=3 * UNIT, reason="The audit of May."
    )
    return raised, asked


def one_call(chance: random.Random, at: datetime, **fields: object) -> UsageRecord:
    """Make a call of one of the models, with savings of its own."""
    context = call_context(**fields)
    reserved = services.reserve(
        context=context,
        provider_code="provider",
        model_code=chance.choice([*MODELS]),
        max_input_tokens=2_000_000,
        max_output_tokens=500_000,
        at=at,
    )
    settled = services.settle(
        reservation_id=reserved.reservation_id,
        outcome=Outcome.COMPLETED,
        usage=Usage(
            input_tokens=chance.randrange(100_000, 900_000),
            cached_input_tokens=chance.choice((0, 200_000)),
            output_tokens=chance.randrange(10_000, 90_000),
        ),
        elapsed_ms=chance.randrange(400, 9000),
        at=at,
    )
    services.record_saving(
        mechanism=Mechanism.ROUTE,
        request_id=context.request_id,
        department_id=context.department_id,
        user_id=context.user_id,
        saved_nanos=chance.randrange(UNIT),
    )
    return UsageRecord.objects.get(pk=settled.usage_record_id)


def pages_of(call: UsageRecord, budget: Budget, asked: BudgetRequest) -> dict[str, str]:
    """Return the addresses of the pages, by the names of their pictures."""
    correct = reverse("admin:billing_ledgerentry_correct")
    return {
        **EMPTY,
        "budgets": reverse("admin:billing_budget_changelist"),
        "cost-refused": f"{EMPTY['overview']}?month=2026-13&person=nobody@example.org",
        "cost-narrowed": f"{EMPTY['overview']}?department={budget.department_id}&model=provider/deep-5",
        "call": reverse("admin:billing_usagerecord_change", args=[call.pk]),
        "budget": reverse("admin:billing_budget_change", args=[budget.pk]),
        "request": reverse("admin:billing_budgetrequest_change", args=[asked.pk]),
        "correction": f"{correct}?call={call.pk}",
    }


async def look_at_ours(page: Page, url: str, shot: str) -> None:
    """Open a page; have axe find nothing in what is ours of it, and the page fit its width; draw it."""
    response = await page.goto(url)
    assert response is not None
    assert response.status == 200, url
    if await page.locator(".cost").count():
        found = (await Axe().run(page, context=[[".cost"]])).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], shot
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), shot
    await page.screenshot(path=SHOTS / f"{shot}.png", full_page=True)


async def test_the_pages_with_nothing_and_with_two_months_of_calls(
    browser: Browser, server: Server, admin_user: User, owner: User
) -> None:
    views = [
        await signed_in(
            browser,
            server,
            admin_user,
            color_scheme=theme,
            viewport={"width": width, "height": 900},
        )
        for theme, width in LOOKS
    ]
    for name, url in EMPTY.items():
        await look_at_ours(views[0], url, f"admin-{name}-empty")
    call, budget, asked = await sync_to_async(two_months_of_calls)(owner)
    for page, (theme, width) in zip(views, LOOKS, strict=True):
        for name, url in pages_of(call, budget, asked).items():
            await look_at_ours(page, url, f"admin-{name}-{theme}-{width}")


async def test_from_a_figure_to_a_call_and_its_correction_by_keyboard(
    browser: Browser, server: Server, admin_user: User, owner: User
) -> None:
    call, _budget, _asked = await sync_to_async(two_months_of_calls)(owner)
    page = await signed_in(browser, server, admin_user)
    await page.goto(EMPTY["overview"])
    chart = page.locator("#cost-chart")
    legend = chart.locator(".u-legend")
    today = timezone.now().astimezone(calendar.zone())
    await expect(legend).to_contain_text(f"{today:%b} {today.day}")
    # The chart's day leads to its calls, the newest first.
    await chart.focus()
    await chart.press("End")
    await chart.press("Enter")
    await page.wait_for_url("**/usagerecord/?**from=**")
    await page.locator("tbody a").first.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/{call.pk}/change/")
    await page.get_by_role("link", name="Correct this").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/correct/**")
    await page.get_by_label("Credit: the department owes less").focus()
    await page.keyboard.press("Space")
    await page.get_by_label("Amount").fill("0.01")
    await page.get_by_label("Reason").fill("Agreed with the provider")
    await page.get_by_role("button", name="Book it").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Booked: a credit of 0.010 $ for Sales")).to_be_visible()
    await page.get_by_role("link", name=str(call.pk)).click()
    await expect(page.get_by_text("Agreed with the provider")).to_be_visible()
    # Back on the overview a bar narrows it, and what was narrowed can be taken off again.
    await page.goto(EMPTY["overview"])
    await page.get_by_role("link", name="This page for Sales alone").click()
    chip = page.get_by_role("link", name="Without the filter Department: Sales")
    await expect(page.locator(".cost-facts")).to_contain_text("-0.010 $")
    await chip.click()
    await expect(chip).to_have_count(0)
