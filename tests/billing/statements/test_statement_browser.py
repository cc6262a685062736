"""The statement and the page of a month in a real browser, on the screen in both themes and on paper."""

import io
from datetime import date

import pytest
from asgiref.sync import sync_to_async
from django.urls import reverse
from playwright.async_api import Browser, Page, expect
from pypdf import PdfReader

from apps.accounts.models import Department, Membership, User
from apps.billing.models import Outcome, SharedCost, Statement
from apps.billing.statements.closing import close_month
from tests.billing.statements.making import (
    NOVEMBER,
    OCTOBER,
    called,
    corrected,
    opened,
    set_prices,
    settled,
)
from tests.browsing import SHOTS, look, signed_in
from tests.chat.serving import Server
from tests.factories.accounts import DepartmentFactory, UserFactory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]
A4_POINTS = (595, 842)


def used(department: Department) -> User:
    """Give the department a head and a November with something of everything."""
    head = UserFactory(department=department, role=Membership.Role.HEAD, full_name="Ada Byron")
    set_prices()
    set_prices(model_code="model-large-2026-08-01")
    library = DepartmentFactory(code="library", name="Shared library")
    lost = opened(department, at=OCTOBER)
    settled(lost.reservation_id, outcome=Outcome.ESTIMATED, at=OCTOBER, input_tokens=90_001)
    close_month(starts_at=OCTOBER)
    for purpose, model_code, usage in (
        ("ANSWER", "model-large-2026-08-01", {"input_tokens": 81_234_567, "output_tokens": 2_345_678}),
        ("ANSWER", "model", {"input_tokens": 1_234_567, "cached_input_tokens": 765_432, "output_tokens": 98_765}),
        ("TITLE", "model", {"input_tokens": 45_678, "output_tokens": 901}),
        ("QUERY_EMBEDDING", "model", {"embedding_tokens": 7_654}),
    ):  # fmt: skip
        called(department, purpose=purpose, model_code=model_code, usage=usage)
    called(library, purpose="DOCUMENT_EMBEDDING", usage={"embedding_tokens": 9_876_543})
    settled(lost.reservation_id, at=NOVEMBER, input_tokens=10_000)
    corrected(department, -1_250_000_000)
    begins = {"starts_on": date(2025, 11, 1)}
    SharedCost.objects.create(name="Platform", method="EVEN", amount_nanos=10**12, **begins)
    SharedCost.objects.create(
        name="Shared library", method="PROPORTIONAL", source_department=library, **begins
    )
    return head


async def seen(page: Page, name: str) -> None:
    """Look at the page wide and narrow, light and dark."""
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme)
        for width in (1280, 360):
            await page.set_viewport_size({"width": width, "height": 900})
            await look(page, f"billing/{name}-{width}-{theme}", full_page=True)


async def test_a_head_reads_a_statement_and_prints_it(
    browser: Browser, server: Server, department: Department
) -> None:
    head = await sync_to_async(used)(department)
    await sync_to_async(close_month)(starts_at=NOVEMBER)
    statement = await Statement.objects.aget(
        month__starts_at=NOVEMBER, department_code=department.code
    )
    page = await signed_in(browser, server, head)
    await page.goto(reverse("billing:statement", args=[statement.pk]))
    await expect(page.get_by_role("heading", level=1)).to_have_text("Support")
    await seen(page, "statement")

    await page.evaluate("window.print = () => { window.isPrinted = true }")
    await page.get_by_role("button", name="Print").click()
    assert await page.evaluate("window.isPrinted === true")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    assert (await download.value).suggested_filename == "support 2025-11.csv"

    # On paper: A4, white whatever the theme is, without what is for the screen only.
    await page.emulate_media(media="print", color_scheme="dark")
    paper = await page.pdf(prefer_css_page_size=True, path=SHOTS / "billing/statement.pdf")
    sheet = PdfReader(io.BytesIO(paper)).pages[0]
    assert (round(sheet.mediabox.width), round(sheet.mediabox.height)) == A4_POINTS
    text = sheet.extract_text()
    assert "Statement of cost" in text
    assert "Back" not in text
    assert "Parley" in text
    ink = "getComputedStyle(document.querySelector('h1')).color"
    lightness = await page.evaluate(f"parseFloat({ink}.match(/oklch\\(([\\d.]+)/)[1])")
    assert lightness < 0.5
    assert not await page.get_by_role("button", name="Print").is_visible()
    await page.get_by_role("link", name="Back").wait_for(state="hidden")


async def test_an_operator_looks_at_a_month_and_closes_it(
    browser: Browser, server: Server, department: Department, admin_user: User
) -> None:
    await sync_to_async(used)(department)
    page = await signed_in(browser, server, admin_user)
    await page.goto(reverse("admin:billing_monthclose_changelist"))
    await seen_in_admin(page, "months")
    await page.get_by_role("link", name="Look at November 2025").click()
    await seen_in_admin(page, "month-open")
    await page.get_by_role("link", name="Support").click()
    await expect(page.get_by_role("note")).to_contain_text("not closed")
    await page.get_by_role("link", name="Back").click()
    await page.get_by_label("I have looked at the statements").check()
    await page.get_by_role("button", name="Close the month").click()
    await expect(page.get_by_text("by Operator")).to_be_visible()
    await seen_in_admin(page, "month-closed")


async def seen_in_admin(page: Page, name: str) -> None:
    """Draw a page of the admin, wide by day and narrow by night; its theme's own parts are not ours to check."""
    for theme, width in (("light", 1280), ("dark", 360)):
        await page.emulate_media(color_scheme=theme)
        await page.set_viewport_size({"width": width, "height": 900})
        await page.reload()
        wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, (name, width)
        await page.screenshot(path=SHOTS / f"billing/{name}-{width}-{theme}.png", full_page=True)
