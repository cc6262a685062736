"""A browser against a real server on the test's database: signing in, and looking at a page."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from axe_playwright_python.async_playwright import Axe
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from apps.accounts.models import User
from tests.chat.serving import Server

SHOTS = Path(__file__).resolve().parent / "screenshots"


@pytest_asyncio.fixture
async def browser(browser_type_launch_args: dict[str, Any]) -> AsyncIterator[Browser]:
    """A browser of the test's own loop: the data of these tests is made through Django, next to it."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(**browser_type_launch_args)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture
async def connections_returned() -> AsyncIterator[None]:
    """Give back what the test's asynchronous queries opened on their own thread."""
    yield
    await sync_to_async(connections.close_all)()


@pytest_asyncio.fixture
async def page(browser: Browser, server: Server, owner: User) -> Page:
    """The owner's page, on nothing yet."""
    return await signed_in(browser, server, owner)


async def signed_in(browser: Browser, server: Server, user: User, **options: Any) -> Page:
    """Return a new page of this person; a complaint in its console fails the test."""
    client = Client()
    await client.aforce_login(user)
    name = settings.SESSION_COOKIE_NAME
    context = await browser.new_context(base_url=server.url, **options)
    await context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": server.url}]
    )
    page = await context.new_page()
    page.on("console", _refuse_complaint)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    return page


def _refuse_complaint(message: ConsoleMessage) -> None:
    # A refusal by the server is noted in the console by the browser itself.
    if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
        pytest.fail(f"console: {message.text}")


async def look(page: Page, shot: str, *, full_page: bool = False) -> None:
    """Have axe find nothing and the page fit its width, and draw it."""
    found = (await Axe().run(page)).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], shot
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), shot
    await page.screenshot(path=SHOTS / f"{shot}.png", full_page=full_page)
