"""The conversation page looked at and weighed: accessible in both themes and widths, light to load, smooth when long."""

import gzip
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import Browser, Page, expect

from apps.accounts.models import User
from apps.chat.models import Conversation
from tests.browsing import look, signed_in
from tests.chat.conversing import conversation as conversation
from tests.chat.conversing import document as document
from tests.chat.conversing import open_conversation
from tests.chat.serving import Server
from tests.factories.chat import conversation_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

STATIC = Path(__file__).resolve().parents[2] / "static"
WEIGHT_LIMIT_BYTES = 150_000
OPEN_LIMIT_MS = 1000
INTERACTION_LIMIT_MS = 100


@pytest.mark.benchmark
async def test_five_hundred_messages_open_quickly_and_stay_smooth(page: Page, owner: User) -> None:
    conversation = await sync_to_async(conversation_of)(owner, turns=250)
    await page.goto("/chat/")  # the server's own first time is not what is measured
    await open_conversation(page, conversation)
    opened_ms = await page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    end = "document.documentElement.scrollHeight - innerHeight - scrollY"
    assert await page.evaluate(end) < 2
    await page.evaluate(
        """() => {
          window.slowest = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.slowest = Math.max(window.slowest, entry.duration);
          }).observe({type: "event", durationThreshold: 16});
        }"""
    )
    field = page.get_by_role("textbox", name="Your question")
    await field.press_sequentially("How many days?", delay=30)
    await page.mouse.wheel(0, -5000)
    await page.get_by_role("button", name="To the latest message").click()
    await expect(page.locator(".message").last).to_be_in_viewport()
    assert opened_ms < OPEN_LIMIT_MS
    assert await page.evaluate("window.slowest") < INTERACTION_LIMIT_MS


async def test_the_page_weighs_less_than_the_budget(page: Page) -> None:
    paths: set[str] = set()
    page.on("request", lambda request: paths.add(urlsplit(request.url).path))
    await page.goto("/chat/")
    await page.wait_for_load_state("networkidle")
    weights = {
        path: len(gzip.compress((STATIC / path.removeprefix("/static/")).read_bytes(), 9))
        for path in paths
        if path.endswith((".js", ".css"))
    }
    assert len(weights) > 20
    assert sum(weights.values()) < WEIGHT_LIMIT_BYTES, weights


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_page_is_accessible_in_both_widths(
    browser: Browser, server: Server, owner: User, conversation: Conversation, theme: Any
) -> None:
    page = await signed_in(browser, server, owner, color_scheme=theme)
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        for name, path in (("new", "/chat/"), ("conversation", f"/chat/{conversation.pk}/")):
            await page.goto(path)
            await look(page, f"chat/{name}-{theme}-{width}")
        await page.locator(".prose .cite").click()
        await expect(page.locator(".beside mark")).to_be_visible()
        await look(page, f"chat/source-{theme}-{width}")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Alt+Shift+s")
        await look(page, f"chat/chooser-{theme}-{width}")
        await page.keyboard.press("Escape")
