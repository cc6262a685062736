"""An operator looks at a cache of the running system, turns its lifetime, and purges it."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RunningParley

pytestmark = pytest.mark.journey

# Every request of a signed-in person reads this one.
KEYSPACE = "accounts:session:1"
PAGE = f"/admin/caching/cachepolicy/keyspaces/{KEYSPACE}/"


@pytest.fixture
def page(browser: Browser, running_parley: RunningParley) -> Iterator[Page]:
    """An operator's browser; an error of a script fails the test."""
    context = browser.new_context(base_url=running_parley.base_url)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    login = json.loads((running_parley.var_folder / "demo-logins.json").read_text())[0]
    page.goto("/")
    page.get_by_label("E-mail").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/chat/")
    yield page
    assert not problems
    context.close()


def read_until_drawn(page: Page) -> None:
    """Look again until the first reads are in the figures."""
    while True:
        page.goto(PAGE)
        if page.locator("#cache-chart").count():
            break
    expect(page.locator("#cache-chart canvas")).to_have_count(2)


def test_a_cache_is_looked_at_turned_and_purged(page: Page) -> None:
    read_until_drawn(page)
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("region", name="Reads over time")).to_be_visible()

    page.get_by_label("Lifetime", exact=True).fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Ensure this value is greater than or equal to 1.")).to_be_visible()
    page.get_by_label("Lifetime", exact=True).fill("240")
    page.locator("#policy").get_by_label("Reason").fill("a trial")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved: live in every process within a second.")).to_be_visible()
    expect(page.locator(".tuning-row.is-changed")).to_contain_text("240 s")

    everything = page.locator("form", has_text="Everything")
    everything.get_by_role("button").click()
    expect(everything.get_by_text("Tick the box to confirm")).to_be_visible()
    everything.get_by_label("Yes, drop every entry").check()
    everything.get_by_role("button").click()
    expect(page.get_by_text("Purged: every entry")).to_be_visible()

    page.get_by_role("link", name="All caches").click()
    row = page.get_by_role("row").filter(has_text=KEYSPACE)
    expect(row.get_by_text("changed", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    read_until_drawn(page)
    page.set_viewport_size({"width": width, "height": 900})
    for address in (PAGE, "/admin/caching/cachepolicy/"):
        page.goto(address)
        expect(page.locator(".caches")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
