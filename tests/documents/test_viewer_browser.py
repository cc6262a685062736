"""The page of one document in a real browser: its passage, its versions, and many pages."""

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import Page, expect

from apps.accounts.models import User
from tests.factories.documents import served, served_version

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

PARAGRAPH = (
    "Full-time employees have 28 days of paid annual leave in each leave year, and part-time employees the same in "
    "proportion to their hours. Unused days are carried over up to a limit of five."
)
HANDBOOK_PAGE = "\n\n".join([PARAGRAPH] * 3)


async def test_a_citation_opens_at_its_passage(page: Page, owner: User) -> None:
    pages = [HANDBOOK_PAGE.replace("28", str(number)) for number in range(1, 41)]
    document = await sync_to_async(served)(owner, *pages, name="handbook.pdf")
    start = sum(len(text) + 2 for text in pages[:29]) + HANDBOOK_PAGE.rindex("Unused")
    await page.goto(f"/documents/{document.pk}/?start={start}&end={start + 11}")
    passage = page.locator("mark")
    await expect(passage).to_have_text("Unused days")
    await expect(passage).to_be_in_viewport()
    await expect(passage).to_be_focused()
    await expect(page.get_by_text("Page 30", exact=True)).to_be_visible()
    await page.get_by_role("link", name="Earlier pages").click()
    await expect(page.get_by_text("Page 15", exact=True)).to_be_attached()
    await expect(page.get_by_text("Page 29", exact=True)).to_be_attached()


async def test_an_earlier_reading_says_so_and_keeps_its_version(page: Page, owner: User) -> None:
    document = await sync_to_async(served)(owner, "Old one.", "Old two.")
    old = document.active_version_id
    document.active_version = await sync_to_async(served_version)(
        document, ["New one.", "New two."]
    )
    await document.asave(update_fields=["active_version"])
    await page.goto(f"/documents/{document.pk}/?version={old}&start=0&end=3")
    await expect(page.locator("mark")).to_have_text("Old")
    await page.get_by_label("Go to page").fill("2")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Old two.")).to_be_visible()
    await expect(page.get_by_text("Old one.")).to_have_count(0)
    await page.get_by_role("link", name="Show the current one").click()
    await expect(page.get_by_text("New one.")).to_be_visible()


async def test_five_hundred_pages_come_as_one_reads(page: Page, owner: User) -> None:
    document = await sync_to_async(served)(owner, *[HANDBOOK_PAGE] * 500, name="handbook.pdf")
    await page.goto(f"/documents/{document.pk}/")
    await expect(page.locator(".document__page")).to_have_count(15)
    await page.locator(".document__page").last.scroll_into_view_if_needed()
    await expect(page.get_by_text("Page 16", exact=True)).to_be_attached()
    await page.get_by_label("Go to page").fill("500")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Page 500", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="More pages")).to_have_count(0)
