"""What a real browser does with what Parley lets it keep: it asks again, and after signing out it has nothing left."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.urls import reverse
from playwright.async_api import Browser, Page, Response, async_playwright

from apps.accounts.models import User
from tests.browsing import browser as browser
from tests.browsing import connections_returned as connections_returned
from tests.browsing import signed_in
from tests.chat.serving import Server
from tests.factories.chat import conversation_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

TITLE = "Notice of termination"


async def opened(page: Page, url: str) -> tuple[Response, dict[str, Any]]:
    """Go there; return the answer and what the browser measured of it."""
    answer = await page.goto(url)
    assert answer is not None
    timing = await page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    return answer, timing


async def test_a_page_kept_is_asked_for_and_gone_after_signing_out(
    browser: Browser, server: Server, owner: User
) -> None:
    conversation = await sync_to_async(conversation_of)(owner, turns=20, title=TITLE)
    url = reverse("chat:conversation-detail", args=[conversation.pk])
    page = await signed_in(browser, server, owner)
    await opened(page, reverse("documents:list"))
    first, timing = await opened(page, url)
    assert (await first.all_headers())["content-encoding"] == "br"
    assert timing["encodedBodySize"] * 4 < timing["decodedBodySize"]
    assert await page.title() == f"{TITLE} · Parley"

    await opened(page, reverse("documents:list"))
    _again, kept = await opened(page, url)
    # Asked for and not sent again: only headers came, and the body is the one kept.
    assert 0 < kept["transferSize"] < timing["transferSize"] / 2
    assert await page.title() == f"{TITLE} · Parley"

    await page.locator(".header__tools details.menu > summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url("**/account/login/**")
    await page.go_back()
    await page.wait_for_load_state()
    assert TITLE not in await page.content()
    assert "/account/login/" in page.url


async def test_a_page_the_browser_put_away_whole_asks_when_it_comes_back(
    browser_type_launch_args: dict[str, Any], server: Server, owner: User
) -> None:
    conversation = await sync_to_async(conversation_of)(owner, turns=2, title=TITLE)
    url = reverse("chat:conversation-detail", args=[conversation.pk])
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            **browser_type_launch_args, ignore_default_args=["--disable-back-forward-cache"]
        )
        page = await signed_in(chromium, server, owner)
        await page.goto(url)
        # Kept whole, the page keeps what its scripts have set.
        await page.evaluate("window.isTheSame = true")
        await page.goto(reverse("documents:list"))
        # Not go_back: a page that comes back whole has no load to wait for.
        await page.evaluate("setTimeout(() => history.back(), 0)")
        await page.wait_for_url(f"**{url}", wait_until="commit")
        assert await page.evaluate("window.isTheSame")

        await page.locator(".header__tools details.menu > summary").click()
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url("**/account/login/**")
        await page.evaluate("setTimeout(() => history.back(), 0)")
        await page.wait_for_url(f"**/account/login/?next={url}")
        assert TITLE not in await page.content()
        await chromium.close()
