"""The pages of documents in a real browser: what is live, the filter, sharing and deleting; by keyboard alone."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from playwright.async_api import Browser, Locator, Page, Request, expect

from apps.accounts.models import User
from apps.documents.cache import changed
from apps.documents.models import Document, IngestRun
from tests.browsing import signed_in
from tests.chat.serving import Server
from tests.documents.list_page import is_marked, mark, row, text_file
from tests.factories.documents import served, uploaded

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

NEEDS_LITTLE_TABBING = 60


async def set_run(document: Document, status: Document.Status, **fields: Any) -> None:
    await IngestRun.objects.filter(document=document).aupdate(**fields)
    await Document.objects.filter(pk=document.pk).aupdate(status=status)
    # As ingestion does.
    await sync_to_async(changed)(document.pk)


async def test_the_status_is_live_and_a_failed_run_is_tried_again(page: Page, owner: User) -> None:
    document = await sync_to_async(uploaded)(owner)
    await page.goto("/documents/")
    await mark(page)
    shown = row(page, document.name)
    await expect(shown).to_contain_text("Waiting")
    await set_run(
        document,
        Document.Status.READING,
        state=IngestRun.State.RUNNING,
        step=IngestRun.Step.EMBED,
        done_count=42,
        total_count=311,
        step_started_at=timezone.now() - timedelta(minutes=2),
    )
    await expect(shown).to_contain_text("42 of 311")
    await expect(shown).to_contain_text("min left")
    await expect(shown.get_by_role("progressbar")).to_be_visible()
    await set_run(
        document, Document.Status.FAILED, state=IngestRun.State.FAILED, error_code="gave_up"
    )
    await expect(shown).to_contain_text("The work was interrupted too often.")
    await shown.get_by_role("button", name="Try again").click()
    await expect(shown).to_contain_text("Waiting")
    await expect(shown.get_by_role("button", name="Try again")).to_be_hidden()
    assert await is_marked(page)


async def test_a_document_that_went_away_is_not_asked_after_for_ever(
    page: Page, owner: User
) -> None:
    document = await sync_to_async(uploaded)(owner)
    asked: list[str] = []
    has_ended = asyncio.Event()

    def on_end(request: Request) -> None:
        if "/events/" in request.url:
            has_ended.set()

    page.on("request", lambda sent: asked.append(sent.url) if "/events/" in sent.url else None)
    page.on("requestfinished", on_end)
    page.on("requestfailed", on_end)
    await page.goto("/documents/")
    await expect(row(page, document.name)).to_contain_text("Waiting")
    await sync_to_async(document.delete)()
    await has_ended.wait()
    for word in ("one", "two", "three"):
        async with page.expect_response(lambda response, word=word: f"q={word}" in response.url):  # type: ignore[misc]
            await page.get_by_role("searchbox", name="Filter by name").fill(word)
    assert len(asked) == 1


async def test_the_list_is_filtered_as_one_types(page: Page, owner: User) -> None:
    make = sync_to_async(served)
    await make(owner, name="Leave policy.pdf", tags=["hr"])
    await make(owner, name="Price list.pdf", tags=["sales"])
    await page.goto("/documents/")
    await mark(page)
    await page.keyboard.press("Alt+Shift+f")
    await page.keyboard.type("POLI")
    await expect(row(page, "Price list.pdf")).to_have_count(0)
    await expect(row(page, "Leave policy.pdf")).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text="1 document")).to_have_count(1)
    assert await is_marked(page)
    await page.reload()
    await expect(page.get_by_role("searchbox", name="Filter by name")).to_have_value("POLI")
    await expect(row(page, "Price list.pdf")).to_have_count(0)
    await page.get_by_role("button", name="sales", exact=True).click()
    await expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    await page.get_by_role("button", name="Clear the filter").click()
    await row(page, "Price list.pdf").get_by_role("link", name="sales").click()
    await expect(row(page, "Leave policy.pdf")).to_have_count(0)
    await expect(row(page, "Price list.pdf")).to_be_visible()


async def test_more_documents_are_shown_on_demand(page: Page, owner: User) -> None:
    for number in range(52):
        await sync_to_async(served)(owner, name=f"{number}.pdf")
    await page.goto("/documents/")
    await expect(page.get_by_role("row")).to_have_count(51)
    await page.get_by_role("button", name="Show more").click()
    await expect(page.get_by_role("row")).to_have_count(53)
    await expect(page.get_by_role("link", name="1.pdf", exact=True)).to_be_focused()
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)


async def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until it has the focus."""
    for _press in range(NEEDS_LITTLE_TABBING):
        await page.keyboard.press("Tab")
        if await target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not reach {target}")


async def open_menu(page: Page, summary: Locator, item: str) -> None:
    """Choose an entry of a menu by keyboard."""
    await tab_to(page, summary)
    await page.keyboard.press("Enter")
    entry = summary.locator("xpath=..").locator(".menu__item").filter(has_text=item)
    while not await entry.evaluate("element => element === document.activeElement"):
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")


async def test_upload_share_and_delete_by_keyboard_alone(
    browser: Browser, server: Server, page: Page, owner: User, colleague: User
) -> None:
    theirs = await signed_in(browser, server, colleague)
    await page.goto("/documents/")
    async with page.expect_file_chooser() as chooser:
        await page.keyboard.press("Alt+Shift+u")
    await (await chooser.value).set_files(
        [text_file("plan.txt", "The plan."), text_file("other.txt", "Other.")]
    )
    await expect(row(page, "plan.txt")).to_be_visible()
    await theirs.goto("/documents/")
    await expect(row(theirs, "plan.txt")).to_have_count(0)

    await page.keyboard.press("Alt+Shift+f")
    await page.keyboard.type("plan")
    await expect(row(page, "other.txt")).to_have_count(0)
    await open_menu(page, row(page, "plan.txt").locator("summary"), "Share and tag")
    dialog = page.get_by_role("dialog", name="Share and tag")
    await expect(dialog.get_by_label("Visible to")).to_be_focused()
    await page.keyboard.type("Named")
    await tab_to(page, dialog.get_by_role("combobox", name="Add a colleague"))
    await page.keyboard.type("coll")
    await expect(dialog.get_by_role("option", name="Colleague")).to_have_attribute(
        "aria-selected", "true"
    )
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await expect(dialog.get_by_role("option", name="Colleague")).to_have_attribute(
        "aria-selected", "true"
    )
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("button", name="Remove Colleague")).to_be_visible()
    await tab_to(page, dialog.get_by_role("button", name="Save"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("complementary", name="About this document")).to_contain_text(
        "2 people"
    )
    await theirs.reload()
    await expect(row(theirs, "plan.txt")).to_be_visible()

    about = page.get_by_role("complementary", name="About this document")
    await open_menu(
        page,
        about.locator("summary").filter(has=page.get_by_role("img", name="More actions")),
        "Delete",
    )
    await tab_to(page, page.get_by_role("dialog").get_by_role("button", name="Delete"))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/documents/")
    await expect(row(page, "other.txt")).to_be_visible()
    await expect(row(page, "plan.txt")).to_have_count(0)
    await theirs.get_by_role("link", name="plan.txt").click()
    await expect(theirs.get_by_role("heading", name="Nothing here for you")).to_be_visible()


async def test_the_last_document_deleted_leaves_the_empty_page(page: Page, owner: User) -> None:
    document = await sync_to_async(served)(owner)
    await page.goto("/documents/")
    await row(page, document.name).locator("summary").click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("heading", name="No documents yet")).to_be_visible()
    await expect(page.get_by_role("searchbox", name="Filter by name")).to_be_hidden()


async def test_the_text_appears_when_it_has_been_read(page: Page, owner: User) -> None:
    document = await sync_to_async(uploaded)(owner)
    await page.goto(f"/documents/{document.pk}/")
    await expect(page.get_by_role("heading", name="Being read")).to_be_visible()
    await set_run(
        document, Document.Status.FAILED, state=IngestRun.State.FAILED, error_code="gave_up"
    )
    await expect(
        page.get_by_role("heading", name="This document could not be read")
    ).to_be_visible()
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="Being read")).to_be_visible()
