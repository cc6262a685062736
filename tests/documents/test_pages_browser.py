"""The pages of documents in a real browser: upload, live progress, sharing and filter; by keyboard, and looked at."""

import asyncio
import io
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.utils import timezone
from playwright.async_api import Browser, FilePayload, Locator, Page, Request, expect

from apps.accounts.models import User
from apps.accounts.services import everyone, make_custom_audience
from apps.documents import ingestion, storage
from apps.documents.cache import changed
from apps.documents.models import Document, IngestRun
from apps.llm.models import Route
from tests.browsing import look, signed_in
from tests.chat.serving import Server
from tests.documents import files
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.documents import served, uploaded
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

PARAGRAPH = (
    "Full-time employees have 28 days of paid annual leave in each leave year, and part-time employees the same in "
    "proportion to their hours. Unused days are carried over up to a limit of five."
)
HANDBOOK_PAGE = "\n\n".join([PARAGRAPH] * 3)
LONG_TEXT = "\n\n".join(
    " ".join(
        f"Rule {rule} of section {section} says what case {rule * section} needs."
        for rule in range(30)
    )
    for section in range(30)
)
NEEDS_LITTLE_TABBING = 60


@pytest_asyncio.fixture
async def page(browser: Browser, server: Server, owner: User) -> Page:
    """The owner's page, on nothing yet."""
    return await signed_in(browser, server, owner)


def text_file(name: str, content: str | bytes) -> FilePayload:
    raw = content.encode() if isinstance(content, str) else content
    return {"name": name, "mimeType": "application/octet-stream", "buffer": raw}


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


async def choose_files(page: Page, *chosen: FilePayload) -> None:
    await page.locator("#upload-files").set_input_files(list(chosen))


async def mark(page: Page) -> None:
    """Leave a mark that a reload would take away."""
    await page.evaluate("window.isMarked = true")


async def is_marked(page: Page) -> bool:
    return bool(await page.evaluate("window.isMarked === true"))


async def set_run(document: Document, status: Document.Status, **fields: Any) -> None:
    await IngestRun.objects.filter(document=document).aupdate(**fields)
    await Document.objects.filter(pk=document.pk).aupdate(status=status)
    # As ingestion does.
    await sync_to_async(changed)(document.pk)


async def stored_run(name: str, content: bytes) -> UUID:
    """Return the run of a document, its file in this process's store: the server's is in a folder of its own."""
    run = await IngestRun.objects.select_related("document").aget(document__name=name)
    await sync_to_async(storage.put)(io.BytesIO(content), run.document.sha256)
    return run.pk


async def test_two_files_at_once_show_their_progress_and_become_ready(
    page: Page, owner: User, fake_provider: FakeProvider
) -> None:
    await sync_to_async(route_to)(fake_provider, Route.Use.EMBEDDING)
    await page.goto("/documents/")
    await expect(page.get_by_role("searchbox", name="Filter by name")).to_be_hidden()
    await mark(page)
    await page.get_by_label("Tags").fill("rules")
    raw = {
        "rules.txt": LONG_TEXT.encode(),
        "leave.pdf": files.pdf("Leave is 28 days.", "Ask ahead."),
    }
    await choose_files(page, *(text_file(name, content) for name, content in raw.items()))
    await expect(row(page, "rules.txt")).to_contain_text("Waiting")
    await expect(row(page, "leave.pdf")).to_contain_text("Waiting")
    await expect(page.get_by_role("searchbox", name="Filter by name")).to_be_visible()
    await expect(page.get_by_role("button", name="rules", exact=True)).to_be_visible()

    runs = {name: await stored_run(name, content) for name, content in raw.items()}
    was_seen = threading.Event()

    def wait_after_a_batch(step: str) -> None:
        if step == "EMBED batch":
            was_seen.wait()

    ingest = sync_to_async(ingestion.run)
    work = asyncio.create_task(ingest(runs["rules.txt"], on_step=wait_after_a_batch))
    try:
        await expect(row(page, "rules.txt").get_by_role("progressbar")).to_be_visible()
        await expect(row(page, "rules.txt")).to_contain_text("Computing embeddings")
    finally:
        was_seen.set()
    await work
    await ingest(runs["leave.pdf"])
    await expect(row(page, "rules.txt")).to_contain_text("Ready")
    await expect(row(page, "leave.pdf")).to_contain_text("Ready")
    await expect(row(page, "leave.pdf")).to_contain_text("2 pages")
    await expect(page.get_by_role("list", name="Uploads")).to_be_hidden()
    assert await is_marked(page)


async def test_a_refused_file_says_why_beside_its_name(page: Page, owner: User) -> None:
    await page.goto("/documents/")
    await choose_files(
        page,
        text_file("secret.pdf", files.encrypted_pdf()),
        text_file("tool.exe", b"MZ"),
        text_file("good.txt", "Hello."),
    )
    queue = page.get_by_role("list", name="Uploads").get_by_role("listitem")
    await expect(queue.filter(has_text="secret.pdf")).to_contain_text("protected by a password")
    await expect(queue.filter(has_text="tool.exe")).to_contain_text(
        "Files of this type can't be read"
    )
    await expect(row(page, "good.txt")).to_be_visible()
    await expect(page.get_by_role("table").get_by_text("secret.pdf")).to_have_count(0)
    await queue.filter(has_text="secret.pdf").get_by_role("button", name="Dismiss").click()
    await expect(queue.filter(has_text="secret.pdf")).to_have_count(0)
    assert await Document.objects.acount() == 1


async def test_an_upload_the_server_did_not_get_is_sent_again(page: Page, owner: User) -> None:
    await page.goto("/documents/")
    await page.context.set_offline(True)
    await choose_files(page, text_file("late.txt", "Hello."))
    item = page.get_by_role("list", name="Uploads").get_by_role("listitem")
    await expect(item).to_contain_text("could not be reached")
    await page.context.set_offline(False)
    await item.get_by_role("button", name="Try again").click()
    await expect(row(page, "late.txt")).to_be_visible()


async def test_files_are_dropped_anywhere(page: Page, owner: User) -> None:
    await page.goto("/documents/")
    dropped = await page.evaluate_handle(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["Hello."], "dropped.txt"));
          return data;
        }"""
    )
    await page.locator("h1").dispatch_event("dragenter", {"dataTransfer": dropped})
    await expect(page.get_by_text("Drop the files to upload them")).to_be_visible()
    await page.locator("h1").dispatch_event("drop", {"dataTransfer": dropped})
    await expect(page.get_by_text("Drop the files to upload them")).to_be_hidden()
    await expect(row(page, "dropped.txt")).to_be_visible()


async def test_nothing_is_sent_before_somebody_is_named(page: Page, colleague: User) -> None:
    await page.goto("/documents/")
    await page.get_by_label("Visible to").select_option("Named people")
    await choose_files(page, text_file("ours.txt", "Hello."))
    await expect(page.get_by_text("Name at least one person.")).to_be_visible()
    search = page.get_by_role("combobox", name="Add a colleague")
    await expect(search).to_be_focused()
    await search.fill("nobody of this name")
    await expect(page.get_by_text("No colleague has this name.")).to_be_visible()
    await search.fill("colle")
    await page.get_by_role("option", name="Colleague").click()
    await expect(page.get_by_text("Colleague was added.")).to_be_visible()
    await choose_files(page, text_file("ours.txt", "Hello."))
    await expect(row(page, "ours.txt")).to_contain_text("2 people")
    theirs = await sync_to_async(lambda: Document.objects.visible_to(colleague).count())()
    assert theirs == 1


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


def a_full_shelf(owner: User, colleague: User) -> dict[str, Document]:
    """Make documents of every state, and a second department to pay."""
    MembershipFactory(user=owner, department=DepartmentFactory(name="Operations"))
    UserFactory(email="chiara@example.org", full_name="Chiara Bianchi-Rosselli")
    shelf = {
        "ready": served(
            owner, *[HANDBOOK_PAGE] * 30, name="Employee handbook.pdf", tags=["hr", "policy"]
        )
    }
    long_name = (
        "Price list with a rather long name that goes on and on for no reason, final (2).xlsx"
    )
    served(colleague, name=long_name, audience=everyone(), tags=["sales"])
    served(owner, name="Board minutes.docx", audience=make_custom_audience([owner, colleague]))
    shelf["waiting"] = uploaded(owner, name="waiting.txt")
    for name, status, fields in (
        (
            "failed",
            Document.Status.FAILED,
            {"state": IngestRun.State.FAILED, "error_code": "embedding_failed"},
        ),
        (
            "reading",
            Document.Status.READING,
            {
                "state": IngestRun.State.RUNNING,
                "step": IngestRun.Step.EMBED,
                "done_count": 42,
                "total_count": 311,
                "step_started_at": timezone.now() - timedelta(seconds=30),
            },
        ),
    ):
        shelf[name] = uploaded(owner, name=f"{name}.txt")
        shelf[name].runs.update(**fields)
        Document.objects.filter(pk=shelf[name].pk).update(status=status)
    return shelf


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_pages_are_accessible_in_both_widths(
    browser: Browser, server: Server, owner: User, colleague: User, outsider: User, theme: Any
) -> None:
    shelf = await sync_to_async(a_full_shelf)(owner, colleague)
    page = await signed_in(browser, server, owner, color_scheme=theme)
    theirs = await signed_in(browser, server, outsider, color_scheme=theme)
    for width in (1280, 360):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.goto("/documents/")
        await choose_files(page, text_file("tool.exe", b"MZ"))
        await expect(page.get_by_role("button", name="Dismiss")).to_be_visible()
        await expect(row(page, "reading.txt")).to_contain_text("left")
        await look(page, f"documents/list-{theme}-{width}", full_page=True)
        await page.get_by_label("Visible to").select_option("Named people")
        await page.get_by_role("combobox", name="Add a colleague").click()
        await expect(page.get_by_role("option", name="Chiara")).to_be_visible()
        await look(page, f"documents/people-{theme}-{width}")
        await page.keyboard.press("Enter")
        await row(page, "Employee handbook.pdf").locator("summary").click()
        await look(page, f"documents/menu-{theme}-{width}")
        await row(page, "Employee handbook.pdf").get_by_role("button", name="Delete").click()
        await look(page, f"documents/delete-{theme}-{width}")
        passage = f"/documents/{shelf['ready'].pk}/?start=600&end=700"
        for name, path in (
            ("nothing", "/documents/?q=zzz"),
            ("ready", f"/documents/{shelf['ready'].pk}/"),
            ("passage", passage),
            ("share", f"/documents/{shelf['ready'].pk}/?edit=1"),
            ("failed", f"/documents/{shelf['failed'].pk}/"),
            ("reading", f"/documents/{shelf['reading'].pk}/"),
        ):
            await page.goto(path)
            await look(page, f"documents/{name}-{theme}-{width}")
        await theirs.set_viewport_size({"width": width, "height": 800})
        await theirs.goto(f"/documents/{shelf['ready'].pk}/")
        await look(theirs, f"documents/outsider-{theme}-{width}")


async def test_the_empty_pages_are_accessible(browser: Browser, server: Server) -> None:
    someone = await sync_to_async(UserFactory)(email="new@example.org")
    page = await signed_in(browser, server, someone)
    await page.goto("/documents/")
    await expect(page.get_by_role("heading", name="No documents yet")).to_be_visible()
    await look(page, "documents/empty")
    await someone.memberships.all().adelete()
    await page.goto("/documents/")
    await expect(page.get_by_role("heading", name="No department yet")).to_be_visible()
    await look(page, "documents/no-department")
