"""The pages of cost in a real browser: the chart by pointer and keyboard, asking and answering, and a look at each."""

import itertools
import random
from datetime import datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from playwright.async_api import Browser, Page, expect

from apps.accounts.models import ApiKey, Department, User
from apps.billing import alerts, calendar
from apps.billing.budgets import requests
from apps.billing.costs.rollups import roll_up_batch
from apps.billing.models import Budget, BudgetIncrease, BudgetRequest, Meter, Purpose
from apps.billing.types import Usage
from apps.core.money import NANOS_PER_UNIT
from tests.browsing import look, signed_in
from tests.chat.serving import Server
from tests.factories.accounts import UserFactory
from tests.factories.billing import BudgetFactory, PriceFactory, settled_call

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

MILLION = 1_000_000
PURPOSES = (Purpose.ANSWER, Purpose.ANSWER, Purpose.TITLE, Purpose.QUERY_EMBEDDING, Purpose.JUDGE)


@pytest.fixture
def head(department: Department) -> User:
    """The head of the owner's department."""
    return UserFactory(
        email="head@example.org", full_name="Ada Head", department=department, role="HEAD"
    )


def spend(user: User, department: Department, at: datetime, units: float, **fields: object) -> None:
    settled_call(
        usage=Usage(input_tokens=round(units * MILLION), output_tokens=100),
        user_id=user.pk,
        department_id=department.pk,
        at=at,
        **fields,
    )


def a_month(department: Department, *people: User) -> None:
    """Have these people ask things on the days of this month and the one before, until now."""
    for meter in (Meter.INPUT, Meter.OUTPUT):
        PriceFactory(meter=meter, nanos_per_million_tokens=NANOS_PER_UNIT)
    key = ApiKey.objects.create(
        name="Nightly reports",
        prefix="pk_1",
        secret_hash=b"",
        owner=people[0],
        department=department,
    )
    chance, now = random.Random(4), timezone.now()
    at = calendar.previous_month(calendar.month_of(now)[0]) + timedelta(hours=9)
    for number in itertools.count():
        if at > now:
            break
        user = people[number % len(people)]
        fields = {"purpose": PURPOSES[number % len(PURPOSES)]}
        if number % 7 == 3:
            fields |= {"api_key_id": key.pk, "product": "api", "tags": ("launch",)}
        spend(user, department, at, chance.uniform(0.02, 0.4), **fields)
        at += timedelta(hours=chance.choice((9, 14, 23)))
    spend(people[0], department, now, 0.3)


def budgets_of(owner: User, department: Department) -> None:
    """Give the department a month's budget with a soft limit, and the owner a day's that was raised."""
    BudgetFactory(
        department=department,
        limit_nanos=12 * NANOS_PER_UNIT,
        soft_limit_nanos=9 * NANOS_PER_UNIT,
        at_limit=Budget.AtLimit.CHEAPER_MODEL,
    )
    own = BudgetFactory(
        department=department, user=owner, period=Budget.Period.DAY, limit_nanos=NANOS_PER_UNIT // 2
    )
    BudgetIncrease.objects.create(
        budget=own,
        amount_nanos=NANOS_PER_UNIT // 4,
        expires_at=timezone.now() + timedelta(days=2),
        reason="The trade fair",
    )
    alerts.raise_due()
    while roll_up_batch(limit=1000):
        pass


async def test_the_chart_is_read_by_pointer_and_by_keyboard(
    browser: Browser, server: Server, owner: User, department: Department
) -> None:
    await sync_to_async(a_month)(department, owner)
    page = await signed_in(browser, server, owner)
    await page.goto("/usage/")
    readout = page.locator("[data-readout]")
    resting = await readout.inner_text()
    days = page.locator("a[data-says]")
    last = days.last
    await last.hover()
    await expect(readout).to_have_text(await last.get_attribute("data-says") or "")
    await page.mouse.move(0, 0)
    await expect(readout).to_have_text(resting)

    # One stop for Tab; the arrows go from day to day.
    assert await page.locator("a[data-says][tabindex='0']").count() == 1
    await last.focus()
    await page.keyboard.press("Home")
    await expect(days.first).to_be_focused()
    await expect(readout).to_have_text(await days.first.get_attribute("data-says") or "")
    await page.keyboard.press("End")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="My calls")).to_be_visible()
    await page.get_by_role("table").get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name="A call")).to_be_visible()


async def test_a_head_answers_what_was_asked_and_a_second_answer_is_told_so(
    browser: Browser, server: Server, owner: User, head: User, department: Department
) -> None:
    await sync_to_async(budgets_of)(owner, department)
    second = await sync_to_async(UserFactory)(
        full_name="Second Head", department=department, role="HEAD"
    )
    asker = await signed_in(browser, server, owner)
    await asker.goto("/usage/")
    await asker.get_by_role("link", name="Ask for more: Support · A month").click()
    await asker.get_by_label("How much more").fill("3")
    await asker.get_by_label("What for").fill("Questions about the new contracts")
    await asker.get_by_role("button", name="Ask for more").click()
    await expect(asker.get_by_role("status").filter(has_text="Asked.")).to_be_visible()
    await expect(asker.get_by_text("Waiting", exact=True)).to_be_visible()

    pages = [await signed_in(browser, server, person) for person in (head, second)]
    for one in pages:
        await one.goto("/usage/departments/support/")
        await expect(one.get_by_text("Questions about the new contracts")).to_be_visible()
    await pages[0].get_by_label("Give").fill("2")
    await pages[0].get_by_label("Until").select_option(index=1)
    await pages[0].get_by_role("button", name="Approve").click()
    await expect(pages[0].get_by_text("Approved: it holds at once.")).to_be_visible()
    await expect(pages[0].get_by_role("button", name="Approve")).to_have_count(0)
    await pages[1].get_by_role("button", name="Approve").click()
    await expect(pages[1].get_by_text("has its answer already")).to_be_visible()
    await expect(pages[1].get_by_text("by Ada Head")).to_be_visible()
    assert await BudgetIncrease.objects.filter(request__isnull=False).acount() == 1

    await asker.reload()
    await expect(asker.get_by_text("Approved", exact=True)).to_be_visible()
    await expect(asker.get_by_text("0 $ of 14.00 $ spent.")).to_be_visible()


async def test_a_head_sets_a_cap_and_takes_it_away(
    browser: Browser, server: Server, owner: User, head: User, department: Department
) -> None:
    page = await signed_in(browser, server, head)
    await page.goto("/usage/departments/support/")
    await page.get_by_role("link", name="Set a cap").click()
    await page.get_by_label("Person").select_option(label="Owner")
    await page.get_by_label("Limit, in $", exact=True).fill("5")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("0 $ of 5.00 $ spent.")).to_be_visible()
    await page.get_by_role("link", name="Change: Support · Owner · A month").click()
    await page.get_by_role("button", name="Remove the cap").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Removed.")).to_be_visible()
    assert not await Budget.objects.filter(is_enabled=True).aexists()


async def _look(page: Page, url: str, name: str, theme: str) -> None:
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.goto(url)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await look(page, f"cost/{name}-{theme}-{width}", full_page=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_pages_look_right(
    browser: Browser,
    server: Server,
    owner: User,
    colleague: User,
    head: User,
    outsider: User,
    department: Department,
    theme: str,
) -> None:
    await sync_to_async(a_month)(department, owner, colleague, head)
    await sync_to_async(budgets_of)(owner, department)
    budget = await Budget.objects.aget(user=None)
    everybody: Budget = await sync_to_async(BudgetFactory)(
        department=None, limit_nanos=40 * NANOS_PER_UNIT, soft_limit_nanos=30 * NANOS_PER_UNIT
    )
    asked: BudgetRequest = await sync_to_async(requests.ask)(
        asker=colleague, budget_id=budget.pk, amount_nanos=NANOS_PER_UNIT, reason="The fair"
    )
    page = await signed_in(browser, server, owner, color_scheme=theme)
    await _look(page, "/usage/", "usage", theme)
    await _look(page, "/usage/calls/", "calls", theme)
    await page.goto("/usage/calls/")
    first = page.get_by_role("table").get_by_role("link").first
    await _look(page, await first.get_attribute("href") or "", "call", theme)
    theirs = await signed_in(browser, server, head, color_scheme=theme)
    await _look(theirs, "/usage/departments/support/", "department", theme)
    if theme == "dark":
        return
    await _look(page, f"/usage/budgets/{budget.pk}/ask/", "ask", theme)
    await _look(theirs, "/usage/departments/support/calls/", "department-calls", theme)
    await _look(theirs, "/usage/departments/support/caps/", "cap", theme)
    await _look(theirs, f"/usage/requests/{asked.pk}/", "request", theme)
    await Budget.objects.filter(pk=everybody.pk).aupdate(is_enabled=False)
    await _look(
        await signed_in(browser, server, outsider, color_scheme=theme), "/usage/", "empty", theme
    )
