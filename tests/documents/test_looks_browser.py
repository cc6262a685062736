"""The pages of documents looked at: accessible and fitting, in both themes and widths, full and empty."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from playwright.async_api import Browser, expect

from apps.accounts.models import User
from apps.accounts.services import everyone, make_custom_audience
from apps.documents.models import Document, IngestRun
from tests.browsing import look, signed_in
from tests.chat.serving import Server
from tests.documents.list_page import choose_files, row, text_file
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.documents import served, uploaded

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]

PARAGRAPH = (
    "Full-time employees have 28 days of paid annual leave in each leave year, and part-time employees the same in "
    "proportion to their hours. Unused days are carried over up to a limit of five."
)
HANDBOOK_PAGE = "\n\n".join([PARAGRAPH] * 3)


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
