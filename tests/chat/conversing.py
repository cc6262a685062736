"""A person at the conversation page, and what there is to talk about."""

import pytest
from playwright.async_api import Page

from apps.accounts.models import User
from apps.chat.models import Conversation
from apps.documents.models import Document
from tests.factories.chat import CitationFactory, conversation_of
from tests.factories.documents import served

PASSAGE = "Full-time employees have 28 days of paid annual leave a year."
TEXT = f"Leave policy. {PASSAGE} The leave year runs from 1 April to 31 March."


@pytest.fixture
def document(owner: User) -> Document:
    """A document of the owner's."""
    return served(owner, TEXT, name="leave-policy.pdf")


@pytest.fixture
def conversation(owner: User, document: Document) -> Conversation:
    """Two turns; the last answer rests on the document."""
    conversation = conversation_of(owner, turns=2, title="Annual leave")
    start = TEXT.index(PASSAGE)
    reply = conversation.active_leaf
    assert reply is not None
    reply.content = "You have **28 days** [1]."
    reply.save(update_fields=["content"])
    CitationFactory(
        message=reply,
        document=document,
        version=document.active_version,
        document_name=document.name,
        start_offset=start,
        end_offset=start + len(PASSAGE),
    )
    return conversation


async def ask(page: Page, content: str) -> None:
    """Ask the model alone: what documents are found is not this page's matter."""
    await page.locator("[name=sources][value=NONE]").evaluate("radio => radio.click()")
    await send(page, content)


async def send(page: Page, content: str) -> None:
    """Type a question and send it."""
    field = page.get_by_role("textbox", name="Your question")
    await field.fill(content)
    await field.press("Enter")


async def open_conversation(page: Page, conversation: Conversation) -> None:
    """Open it."""
    await page.goto(f"/chat/{conversation.pk}/")
