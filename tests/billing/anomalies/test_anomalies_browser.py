"""The pages of anomalies in a real browser: looked at, in both themes, narrow and wide, and used by keyboard."""

from datetime import timedelta

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from axe_playwright_python.async_playwright import Axe
from django.urls import reverse
from django.utils import timezone
from playwright.async_api import Browser, Page, expect

from apps.accounts.models import Department, User
from apps.billing.anomalies import service, synthetic
from apps.billing.anomalies.profile import DAY_HOURS
from apps.billing.calendar import day_of
from apps.billing.models import Anomaly
from tests.browsing import SHOTS, signed_in
from tests.chat.serving import Server
from tests.factories.accounts import DepartmentFactory
from tests.factories.billing import BudgetFactory, PriceFactory
from tests.factories.costs import hourly_costs

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

UNIT = 1_000_000_000
LOOKS = (("light", 1280), ("dark", 360))


def found_anomalies(department: Department) -> Anomaly:
    """Spend for twelve weeks with a spike and a drift in them, and look; return the spike."""
    now = day_of(timezone.now())[0] + timedelta(hours=-3)
    hours = 12 * 7 * DAY_HOURS - 3
    other = DepartmentFactory(name="Research and development")
    for number, one in enumerate((department, other)):
        costs = np.rint(20 * synthetic.department(np.random.default_rng(number), weeks=12))
        costs = costs[-hours:]
        if one == department:
            costs[-9:-6] += round(30 * costs.mean())
        else:
            costs[-28 * DAY_HOURS :] *= np.linspace(1, 2.6, 28 * DAY_HOURS)
        hourly_costs(one, costs, until=now)
        BudgetFactory(department=one, limit_nanos=20_000 * UNIT)
    hourly_costs(other, [UNIT], until=now, provider_code="provider", model_code="deep-5-preview")
    PriceFactory(nanos_per_million_tokens=3_000_000_000, starts_at=now - timedelta(hours=2))
    PriceFactory(nanos_per_million_tokens=2_000_000_000)
    service.detect(now + timedelta(minutes=5))
    return Anomaly.objects.get(kind=Anomaly.Kind.SPIKE, department=department)


async def test_the_pages_are_looked_at_and_the_chart_is_read_by_keyboard(
    browser: Browser, server: Server, department: Department, admin_user: User
) -> None:
    spike = await sync_to_async(found_anomalies)(department)
    drift = await Anomaly.objects.aget(kind=Anomaly.Kind.DRIFT)
    pages = {
        "anomalies": reverse("admin:billing_anomaly_changelist"),
        "anomaly-drift": reverse("admin:billing_anomaly_change", args=[drift.pk]),
        "anomaly": reverse("admin:billing_anomaly_change", args=[spike.pk]),
    }
    for scheme, width in LOOKS:
        page = await signed_in(
            browser,
            server,
            admin_user,
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
        )
        for name, url in pages.items():
            await page.goto(url)
            await look_at_ours(page, f"{name}-{scheme}-{width}")
    # The last page, narrow and dark, is read and seen to without a mouse.
    await page.goto(pages["anomaly"])
    chart = page.locator("#anomaly-chart")
    await chart.focus()
    await page.keyboard.press("End")
    await page.keyboard.press("Home")
    await expect(chart.locator(".u-legend")).to_contain_text("$")
    await page.get_by_role("button", name="I have seen to it").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Noted: you have seen to it.")).to_be_visible()


async def look_at_ours(page: Page, shot: str) -> None:
    """Have axe find nothing in what is ours of the page, and the page fit its width; draw it."""
    found = (await Axe().run(page, context=[[".cost"]])).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], shot
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), shot
    await page.screenshot(path=SHOTS / f"{shot}.png", full_page=True)
