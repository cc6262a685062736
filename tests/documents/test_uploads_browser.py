"""Uploads in a real browser: chosen, dropped, refused, sent again, and their progress."""

import asyncio
import io
import threading
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import Page, expect

from apps.accounts.models import User
from apps.documents import ingestion, storage
from apps.documents.models import Document, IngestRun
from apps.llm.models import Route
from tests.documents import files
from tests.documents.list_page import choose_files, is_marked, mark, row, text_file
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

LONG_TEXT = "\n\n".join(
    " ".join(
        f"Rule {rule} of section {section} says what case {rule * section} needs."
        for rule in range(30)
    )
    for section in range(30)
)


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
