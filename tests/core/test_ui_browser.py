"""The design system in a real browser: both themes, both widths, axe, and what the frame's scripts promise."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.core import gallery

SHOTS = Path(__file__).resolve().parents[1] / "screenshots" / "core"
PAGES = ["gallery.html", "conversation.html", "account/lockout.html", "404.html", "500.html"]
WIDTHS = [1280, 360]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with gallery.serve() as base:
        yield base


@pytest.fixture
def gallery_page(page: Page, address: str) -> Page:
    """The gallery, opened."""
    page.goto(f"{address}/gallery.html")
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits_in_both_widths(
    browser: Browser, address: str, name: str, theme: str
) -> None:
    context = browser.new_context(color_scheme=theme)  # type: ignore[arg-type]  # a literal of the list above
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.extend(_error(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{address}/{name}")
        found = [rule["id"] for rule in Axe().run(page).response["violations"]]
        assert found == [], f"{name} {theme} {width}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shot = f"{name.replace('/', '-').removesuffix('.html')}-{theme}-{width}.png"
        page.screenshot(path=SHOTS / shot)
    assert complaints == []
    context.close()


def _error(message: ConsoleMessage) -> list[str]:
    return [message.text] if message.type in {"error", "warning"} else []


def test_the_chosen_theme_outlives_a_reload(gallery_page: Page) -> None:
    before = gallery_page.evaluate("getComputedStyle(document.body).backgroundColor")
    gallery_page.locator("[data-theme-toggle]").click()
    chosen = gallery_page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert chosen != before
    gallery_page.reload()
    assert gallery_page.evaluate("getComputedStyle(document.body).backgroundColor") == chosen


def test_the_palette_finds_and_goes_by_keyboard_alone(gallery_page: Page) -> None:
    gallery_page.keyboard.press("Control+k")
    expect(gallery_page.get_by_role("option", name="Leave policy")).to_be_visible()
    gallery_page.keyboard.press("ArrowUp")
    options = gallery_page.locator("#palette").get_by_role("option")
    expect(options.last).to_have_attribute("aria-selected", "true")
    gallery_page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    gallery_page.keyboard.press("Enter")
    gallery_page.wait_for_url("**/404.html")


def test_the_palette_shows_the_pages_own_actions_with_their_keys(gallery_page: Page) -> None:
    gallery_page.keyboard.press("Control+k")
    expect(gallery_page.get_by_role("option", name="Helpful Alt H")).to_be_visible()
    gallery_page.keyboard.press("Escape")
    expect(gallery_page.locator("#palette")).to_be_hidden()


def test_the_drawer_takes_the_focus_and_gives_it_back(gallery_page: Page) -> None:
    gallery_page.set_viewport_size({"width": 360, "height": 800})
    rail = gallery_page.get_by_role("navigation", name="Main")
    expect(rail).to_be_hidden()
    button = gallery_page.locator("[data-drawer]")
    button.press("Enter")
    expect(rail.get_by_role("link", name="Chat")).to_be_focused()
    gallery_page.keyboard.press("Escape")
    expect(rail).to_be_hidden()
    expect(button).to_be_focused()


def test_a_menu_moves_by_arrows_and_closes_by_escape(gallery_page: Page) -> None:
    summary = gallery_page.locator("summary[aria-label=More]")
    summary.press("Enter")
    gallery_page.keyboard.press("ArrowDown")
    expect(gallery_page.get_by_role("link", name="Rename")).to_be_focused()
    gallery_page.keyboard.press("Escape")
    expect(gallery_page.get_by_role("link", name="Rename")).to_be_hidden()
    expect(summary).to_be_focused()


def test_a_tooltip_shows_the_key_on_keyboard_focus(gallery_page: Page) -> None:
    gallery_page.get_by_role("button", name="Small").focus()
    gallery_page.keyboard.press("Tab")
    expect(gallery_page.locator(".tooltip")).to_have_text("HelpfulAlt H")


def test_a_dialog_opens_and_a_click_beside_it_closes_it(gallery_page: Page) -> None:
    gallery_page.get_by_role("button", name="Danger").click()
    dialog = gallery_page.get_by_role("dialog", name="Who can see it")
    expect(dialog).to_be_visible()
    gallery_page.mouse.click(5, 5)
    expect(dialog).to_be_hidden()
