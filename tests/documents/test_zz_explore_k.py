import os
from datetime import timedelta
from typing import Any
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from playwright.async_api import Browser, expect
from apps.accounts.models import User, Membership
from apps.accounts.services import everyone, audience_of_department, make_custom_audience, paying_department
from apps.documents.models import Document, IngestRun
from tests.browsing import *
from tests.browsing import Axe
from tests.factories.accounts import DepartmentFactory, MembershipFactory, UserFactory
from tests.factories.documents import served, served_version, uploaded
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("connections_returned")]

LONG = "\n\n".join(("Full-time employees have 28 days of paid annual leave in each leave year. Part-time employees have the same entitlement in proportion to their hours. The leave year runs from 1 April to 31 March, and unused days are carried over up to a limit of five.", "Ask for leave at least twice as many days ahead as the leave is long. Your manager answers within three working days; without an answer the leave counts as granted.", "Who falls ill during leave gets the days back when a certificate is handed in within a week."))

def world(owner, colleague):
    second = DepartmentFactory(name="Operations", code="operations")
    MembershipFactory(user=owner, department=second)
    for name in ("Amara Okafor", "Ben Castellano", "Chiara Bianchi-Rosselli", "Dmitri Volkov", "Elena García Márquez"):
        UserFactory(email=name.split()[0].lower() + "@example.org", full_name=name)
    docs = {}
    docs["long"] = served(owner, *[LONG]*500, name="Employee handbook 2026.pdf", tags=["hr", "policy"], audience=everyone())
    docs["short"] = served(owner, "A short one-page note about the kitchen.\n\nKeep it clean.", name="kitchen.txt", content_type="text/plain")
    served(colleague, "x", name="Price list with a rather long name that goes on and on and on for no reason whatsoever, final (2).xlsx", content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", audience=everyone(), tags=["sales", "2026"])
    served(owner, "a", "b", name="Board minutes.docx", audience=make_custom_audience([owner, colleague]), content_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document")
    served(owner, "slide", "two", name="Kick-off.pptx", audience=audience_of_department(paying_department(owner)), content_type="application/vnd.openxmlformats-officedocument.presentationml.presentation")
    docs["waiting"] = uploaded(owner, "Waiting text", "waiting.txt")
    docs["failed"] = f = uploaded(owner, "Scan", "scan-of-contract.txt")
    f.runs.update(state="FAILED", error_code="no_text", finished_at=timezone.now()); Document.objects.filter(pk=f.pk).update(status="FAILED")
    docs["failed2"] = f = uploaded(owner, "Other", "annual-report.txt")
    f.runs.update(state="FAILED", error_code="embedding_failed", finished_at=timezone.now()); Document.objects.filter(pk=f.pk).update(status="FAILED")
    docs["reading"] = r = uploaded(owner, "Reading", "product-manual.txt", tags=["product"])
    r.runs.update(state="RUNNING", step="EMBED", done_count=42, total_count=311, step_started_at=timezone.now()-timedelta(seconds=20), lease_expires_at=timezone.now()+timedelta(hours=1)); Document.objects.filter(pk=r.pk).update(status="READING")
    return docs

async def shot(page, name, full=False):
    found = (await Axe().run(page)).response["violations"]
    for rule in found: print("AXE", name, rule["id"], [n["html"][:200] for n in rule["nodes"]][:3])
    if not await page.evaluate("document.documentElement.scrollWidth <= innerWidth"): print("WIDE", name)
    await page.screenshot(path=SHOTS / "documents" / f"x-{name}.png", full_page=full)

async def test_look(browser: Browser, server, owner: User, colleague: User, outsider: User):
    docs = await sync_to_async(world)(owner, colleague)
    d = docs["long"]
    start = LONG.index("unused"); page12 = 11*(len(LONG)+2)
    old = d.active_version
    modes = os.environ.get("MODES", "light-1280,light-360,dark-1280").split(",")
    for mode in modes:
        theme, width = mode.split("-")
        page = await signed_in(browser, server, owner, color_scheme=theme)
        await page.set_viewport_size({"width": int(width), "height": 800})
        async def go(path): await page.goto(path)
        await go("/documents/")
        await expect(page.get_by_text("42 of 311").first).to_be_visible()
        await expect(page.get_by_text("left").first).to_be_visible()
        await shot(page, f"list-{mode}", full=True)
        await page.locator("#upload-visibility").select_option("PEOPLE") if await page.locator("#upload-visibility").is_visible() else None
        s = page.locator("#upload [data-people-search]")
        if await s.is_visible():
            await s.focus()
            await expect(page.locator("#upload-people [role=option]").first).to_be_visible()
        await shot(page, f"people-{mode}")
        await page.keyboard.press("Escape")
        await page.locator("tr").filter(has_text="kitchen").locator("summary").click()
        await shot(page, f"menu-{mode}")
        await page.get_by_role("button", name="Delete").first.click()
        await shot(page, f"delete-{mode}")
        await page.keyboard.press("Escape")
        await go("/documents/?q=zzz"); await shot(page, f"nothing-{mode}")
        await go(f"/documents/{d.pk}/"); await shot(page, f"detail-{mode}")
        await go(f"/documents/{d.pk}/?start={page12+start}&end={page12+start+60}"); await page.wait_for_timeout(300); await shot(page, f"passage-{mode}")
        await go(f"/documents/{d.pk}/?edit=1"); await shot(page, f"edit-{mode}")
        await go(f"/documents/{docs['short'].pk}/"); await shot(page, f"short-{mode}")
        await go(f"/documents/{docs['failed'].pk}/"); await shot(page, f"failed-{mode}")
        await go(f"/documents/{docs['reading'].pk}/"); await shot(page, f"reading-{mode}")
        p2 = await signed_in(browser, server, outsider, color_scheme=theme)
        await p2.set_viewport_size({"width": int(width), "height": 800})
        await p2.goto(f"/documents/{docs['short'].pk}/"); await p2.screenshot(path=SHOTS / "documents" / f"x-404-{mode}.png")
        await sync_to_async(Document.objects.filter(audience__kind="EVERYONE").update)(audience=d.audience)
    empty = await sync_to_async(UserFactory)(email="new@example.org", full_name="New Person")
    await sync_to_async(Document.objects.all().delete)()
    page = await signed_in(browser, server, empty)
    await page.goto("/documents/"); await shot(page, "empty-light-1280")
    await empty.memberships.all().adelete()
    await page.goto("/documents/"); await shot(page, "nodept-light-1280")
