"""The conversation page in a real browser, against a real server and a provider that waits at gates."""

from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import Page, expect

from apps.accounts.models import User
from apps.chat.models import Conversation, Message
from tests.chat.conversing import ask, open_conversation
from tests.chat.conversing import conversation as conversation
from tests.chat.conversing import document as document
from tests.factories.chat import conversation_of
from tests.fake_provider import FakeProvider, Gate

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

MARKDOWN = (
    "## Leave\n\nYou have **28 days",
    "**.\n\n```python\nprint(28)\n",
    "```\n\nThat <b>is</b> all.",
)


async def test_an_answer_streams_in_and_is_replaced_by_the_finished_one(
    page: Page, provider: FakeProvider
) -> None:
    gate = Gate()
    provider.will_answer(MARKDOWN[0], gate, *MARKDOWN[1:])
    await page.goto("/chat/")
    await ask(page, "How many days of leave?")
    answer = page.get_by_role("article", name="Answer")
    await expect(answer.get_by_role("heading", name="Leave")).to_be_visible()
    await expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    assert urlsplit(page.url).path != "/chat/"
    gate.open()
    await expect(answer.get_by_role("button", name="Copy the answer")).to_be_visible()
    await expect(answer.locator(".highlight")).to_have_text("print(28)")
    await expect(answer).to_contain_text("That <b>is</b> all.")
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text("How many days of leave?")
    row = page.get_by_role("navigation", name="Chats").get_by_role("link")
    await expect(row).to_have_attribute("aria-current", "page")


async def test_nothing_jumps_while_an_answer_streams(page: Page, provider: FakeProvider) -> None:
    gate = Gate()
    provider.will_answer("One.\n\n", gate, *(f"Word {n} of it. \n\n" for n in range(120)))
    await page.goto("/chat/")
    await ask(page, "Say a lot")
    await expect(page.locator("[data-live]")).to_contain_text("One.")
    await page.evaluate(
        """() => {
          window.shift = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
          }).observe({type: "layout-shift"});
        }"""
    )
    gate.open()
    await expect(page.get_by_role("button", name="Copy the answer")).to_be_visible()
    await expect(page.locator(".message").last).to_contain_text("Word 119")
    assert await page.evaluate("window.shift") < 0.01
    end = "document.documentElement.scrollHeight - innerHeight - scrollY"
    assert await page.evaluate(end) < 2


async def test_enter_twice_posts_once(page: Page, provider: FakeProvider) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate)
    await page.goto("/chat/")
    field = page.get_by_role("textbox", name="Your question")
    await field.fill("How many?")
    await page.locator("[name=sources][value=NONE]").evaluate("radio => radio.click()")
    await page.evaluate(
        """() => {
          const form = document.querySelector("[data-composer]");
          form.requestSubmit();
          document.querySelector("[data-composer] textarea").value = "How many?";
          form.requestSubmit();
        }"""
    )
    await expect(page.locator("[data-live]")).to_contain_text("Twenty")
    gate.open()
    await expect(page.get_by_role("button", name="Copy the answer")).to_be_visible()
    assert await Message.objects.filter(role=Message.Role.USER).acount() == 1


async def test_escape_stops_the_answer(page: Page, provider: FakeProvider) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate, " days")
    await page.goto("/chat/")
    await ask(page, "How many?")
    await expect(page.locator("[data-live]")).to_contain_text("Twenty")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("You stopped this answer.")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert await Message.objects.filter(state=Message.State.STOPPED).acount() == 1


async def test_a_reload_joins_the_running_answer(page: Page, provider: FakeProvider) -> None:
    gate = Gate()
    provider.will_answer("Twenty", gate, " days")
    await page.goto("/chat/")
    await ask(page, "How many?")
    await expect(page.locator("[data-live]")).to_contain_text("Twenty")
    await page.reload()
    await expect(page.locator("[data-live]")).to_contain_text("Twenty")
    await expect(page.get_by_role("button", name="Stop the answer")).to_be_visible()
    gate.open()
    await expect(page.get_by_role("button", name="Copy the answer")).to_be_visible()
    await expect(page.locator(".message").last).to_contain_text("Twenty days")


async def test_a_failed_answer_says_why_and_is_tried_again(
    page: Page, provider: FakeProvider
) -> None:
    provider.will_fail(400, message="no", type="invalid_request_error")
    await page.goto("/chat/")
    await ask(page, "How many?")
    await expect(
        page.get_by_role("alert").filter(has=page.get_by_text("Try again"))
    ).to_be_visible()
    provider.will_answer("Twenty days")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".message").last).to_contain_text("Twenty days")
    await expect(page.locator(".versions")).to_have_text("2 / 2")


async def test_a_refused_question_comes_back_with_the_reason(page: Page, owner: User) -> None:
    await page.goto("/chat/")
    await owner.memberships.all().adelete()
    await ask(page, "How many?")
    await expect(page.get_by_role("alert").filter(has_text="department")).to_be_visible()
    field = page.get_by_role("textbox", name="Your question")
    await expect(field).to_have_value("How many?")
    await expect(page.locator(".message")).to_have_count(0)


async def test_a_draft_outlives_a_reload_and_belongs_to_its_conversation(
    page: Page, conversation: Conversation
) -> None:
    await page.goto("/chat/")
    field = page.get_by_role("textbox", name="Your question")
    await field.fill("half a")
    await page.reload()
    await expect(field).to_have_value("half a")
    await open_conversation(page, conversation)
    await expect(field).to_have_value("")


async def test_an_edited_question_makes_a_branch_that_can_be_left(
    page: Page, provider: FakeProvider, conversation: Conversation
) -> None:
    provider.will_answer("Thirty")
    await open_conversation(page, conversation)
    question = page.get_by_role("article", name="Your question").first
    before = await question.locator(".message__text").inner_text()
    await question.focus()
    await page.keyboard.press("e")
    field = page.get_by_role("textbox", name="Edit the question")
    await expect(field).to_have_value(before)
    await field.fill("And in Leith?")
    await field.press("Enter")
    await expect(page.locator(".message").last).to_contain_text("Thirty")
    await expect(page.locator(".message")).to_have_count(2)
    await expect(question.locator(".versions")).to_have_text("2 / 2")
    await question.get_by_role("link", name="Previous version").click()
    await expect(page.locator(".message")).to_have_count(4)
    await expect(question.locator(".message__text")).to_have_text(before)
    await expect(question).to_be_focused()


async def test_thumbs_and_copy_work_from_the_keyboard(
    page: Page, conversation: Conversation
) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_conversation(page, conversation)
    answer = page.get_by_role("article", name="Answer").last
    await page.keyboard.press("Alt+ArrowUp")
    await expect(answer).to_be_focused()
    await page.keyboard.press("c")
    await expect(answer.get_by_role("img", name="Copied.")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == "You have **28 days** [1]."
    await answer.focus()
    await page.keyboard.press("-")
    await page.get_by_label("Wrong sources").check()
    await page.get_by_role("dialog").get_by_role("button", name="Send").click()
    await expect(page.get_by_text("Thank you.")).to_be_visible()
    leaf = await Message.objects.select_related("feedback").aget(pk=conversation.active_leaf_id)
    assert (leaf.feedback.is_positive, leaf.feedback.reason) == (False, "SOURCES")
    await page.reload()
    await expect(answer.get_by_role("button", name="Bad answer")).to_have_attribute(
        "aria-pressed", "true"
    )


async def test_the_list_is_searched_paged_renamed_archived_and_deleted(
    page: Page, owner: User, conversation: Conversation
) -> None:
    make = sync_to_async(conversation_of)
    for number in range(35):
        await make(owner, title=f"Chat {number}")
    await open_conversation(page, conversation)
    rows = page.get_by_role("navigation", name="Chats").get_by_role("listitem")
    await expect(rows).to_have_count(30)
    await rows.last.scroll_into_view_if_needed()
    await expect(rows).to_have_count(36)

    search = page.get_by_role("searchbox", name="Search your chats")
    await search.fill("annual")
    await expect(rows).to_have_count(1)
    more = rows.get_by_role("button")
    await more.click()
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_label("Title").fill("Holidays")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_text("Holidays")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Holidays")

    await search.fill("holi")
    await expect(rows).to_have_count(1)
    await more.click()
    await page.get_by_role("button", name="Archive", exact=True).click()
    await expect(page.get_by_text("No chat has these words")).to_be_visible()
    await search.fill("")
    await page.keyboard.press("Alt+Shift+a")
    await expect(rows).to_have_text("Holidays")

    await more.click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await page.wait_for_url("**/chat/")
    assert not await Conversation.objects.filter(pk=conversation.pk).aexists()


async def test_the_connection_being_lost_is_said_and_nothing_typed_is_lost(page: Page) -> None:
    await page.goto("/chat/")
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await ask(page, "How many?")
    await expect(page.get_by_role("alert").filter(has_text="could not be reached")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Your question")).to_have_value("How many?")
    await page.context.set_offline(False)
    await expect(page.get_by_text("You are offline.")).to_be_hidden()
