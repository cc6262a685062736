"""Sources in a real browser: the citation and its passage, and what a question is asked of and charged to."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import Browser, Page, expect

from apps.accounts.models import User
from apps.accounts.services import audience_of_user
from apps.chat.models import Conversation
from apps.documents.models import Document
from tests.browsing import signed_in
from tests.chat.conversing import PASSAGE, ask, open_conversation, send
from tests.chat.conversing import conversation as conversation
from tests.chat.conversing import document as document
from tests.chat.serving import Server
from tests.factories.accounts import DepartmentFactory, MembershipFactory
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]


async def test_a_citation_is_previewed_and_opened_in_its_context(
    page: Page, conversation: Conversation, document: Document
) -> None:
    await open_conversation(page, conversation)
    chip = page.locator(".prose .cite")
    await chip.hover()
    await expect(page.locator(".preview")).to_contain_text(PASSAGE)
    await chip.click()
    panel = page.get_by_role("complementary", name=document.name)
    await expect(panel.locator("mark")).to_have_text(PASSAGE)
    await expect(panel).to_contain_text("The leave year runs")
    link = panel.get_by_role("link", name="Open the document")
    assert str(document.pk) in (await link.get_attribute("href") or "")
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(chip).to_be_focused()


async def test_a_source_that_may_not_be_read_any_more_says_so(
    page: Page, conversation: Conversation, document: Document, outsider: User
) -> None:
    await Document.objects.filter(pk=document.pk).aupdate(audience=await _audience_of(outsider))
    await open_conversation(page, conversation)
    await expect(page.locator(".sources")).to_contain_text("no longer available")
    await page.locator(".sources button").click()
    await expect(page.get_by_role("complementary").last).to_contain_text("no longer available")
    await expect(page.get_by_text(PASSAGE)).to_have_count(0)


async def _audience_of(user: User) -> Any:
    return await sync_to_async(audience_of_user)(user)


async def test_the_chosen_documents_are_sent_with_the_question(
    page: Page, provider: FakeProvider, document: Document
) -> None:
    await page.goto("/chat/")
    await page.keyboard.press("Alt+Shift+s")
    await page.get_by_label("Only the ones I choose").check()
    await page.get_by_role("searchbox", name="Filter documents").fill("nothing like it")
    await expect(page.get_by_text("No document of this name.")).to_be_visible()
    await page.get_by_role("searchbox", name="Filter documents").fill("LEAVE")
    await page.get_by_label(document.name).check()
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_role("button", name="Chosen documents: 1")).to_be_visible()
    await send(page, "Hello")
    await expect(page.get_by_role("article", name="Answer")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    conversation = await Conversation.objects.aget()
    assert conversation.sources == Conversation.Sources.CHOSEN
    assert [chosen.pk async for chosen in conversation.chosen_documents.all()] == [document.pk]


async def test_who_pays_is_chosen_once(
    browser: Browser, server: Server, owner: User, provider: FakeProvider
) -> None:
    second = await sync_to_async(DepartmentFactory)(name="Operations")
    await sync_to_async(MembershipFactory)(user=owner, department=second)
    page = await signed_in(browser, server, owner)
    await page.goto("/chat/")
    await page.get_by_label("Who pays for this chat").select_option("Operations")
    await ask(page, "Hello")
    await expect(page.get_by_role("button", name="Copy the answer")).to_be_visible()
    await expect(page.get_by_label("Who pays for this chat")).to_have_count(0)
    assert (await Conversation.objects.aget()).paying_department_id == second.pk
