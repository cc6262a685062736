"""The conversation page in a real browser, against a real server and a provider that waits at gates."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from apps.accounts.models import User
from apps.accounts.services import audience_of_user
from apps.chat.models import Conversation, Message
from apps.documents.models import Document
from tests.chat import serving
from tests.chat.serving import Server
from tests.factories.accounts import DepartmentFactory, MembershipFactory
from tests.factories.chat import CitationFactory, conversation_of
from tests.factories.documents import served
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider, Gate

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

SHOTS = Path(__file__).resolve().parents[1] / "screenshots" / "chat"
STATIC = Path(__file__).resolve().parents[2] / "static"
PASSAGE = "Full-time employees have 28 days of paid annual leave a year."
TEXT = f"Leave policy. {PASSAGE} The leave year runs from 1 April to 31 March."
MARKDOWN = (
    "## Leave\n\nYou have **28 days",
    "**.\n\n```python\nprint(28)\n",
    "```\n\nThat <b>is</b> all.",
)
WEIGHT_LIMIT_BYTES = 150_000
OPEN_LIMIT_MS = 1000
INTERACTION_LIMIT_MS = 100


@pytest.fixture
def provider(fake_provider: FakeProvider, owner: User) -> FakeProvider:
    """A provider with a route for answers."""
    route_to(fake_provider)
    return fake_provider


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


@pytest_asyncio.fixture
async def browser(browser_type_launch_args: dict[str, Any]) -> AsyncIterator[Browser]:
    """A browser of the test's own loop: the data of these tests is made through Django, next to it."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(**browser_type_launch_args)
        yield chromium
        await chromium.close()


async def signed_in(browser: Browser, server: Server, user: User, **options: Any) -> Page:
    """Return a new page of this person; errors in its console fail the test."""
    async with serving.Browser(server, user) as session:
        cookies = [
            {"name": cookie.name, "value": cookie.value, "url": server.url}
            for cookie in session.http.cookies.jar
        ]
    context = await browser.new_context(
        base_url=server.url, permissions=["clipboard-read", "clipboard-write"], **options
    )
    await context.add_cookies(cookies)  # type: ignore[arg-type]  # a list of such dicts
    page = await context.new_page()
    page.on("console", _refuse_complaint)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    return page


def _refuse_complaint(message: ConsoleMessage) -> None:
    # A refusal by the server is noted in the console by the browser itself.
    if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
        pytest.fail(f"console: {message.text}")


@pytest_asyncio.fixture
async def page(browser: Browser, server: Server, owner: User) -> Page:
    """The owner's page, on nothing yet."""
    return await signed_in(browser, server, owner)


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


async def test_thumbs_and_copy_work_from_the_keyboard(
    page: Page, conversation: Conversation
) -> None:
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
            await _look(page, f"{name}-{theme}-{width}")
        await page.locator(".prose .cite").click()
        await expect(page.locator(".beside mark")).to_be_visible()
        await _look(page, f"source-{theme}-{width}")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Alt+Shift+s")
        await _look(page, f"chooser-{theme}-{width}")
        await page.keyboard.press("Escape")


async def _look(page: Page, name: str) -> None:
    found = (await Axe().run(page)).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == [], name
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    await page.screenshot(path=SHOTS / f"{name}.png")
