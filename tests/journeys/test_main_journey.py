"""The main job on the whole running system: sign in, upload, ask, open the citation, stop, reload in mid-answer."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from project.demo.builder.long_manual import (
    NEEDLE_PAGE,
    NEEDLE_QUESTION,
    NEEDLE_SENTENCE,
    write_long_manual,
)
from tests.conftest import RunningParley

pytestmark = pytest.mark.journey

# Reading 120 pages takes a minute or two on a busy machine; what is waited for is the condition.
PATIENT_MS = 600_000
ANSWER = ".message--assistant"


@pytest.fixture
def page(browser: Browser, running_parley: RunningParley) -> Iterator[Page]:
    """A signed-in browser; an error in its console fails the test."""
    context = browser.new_context(base_url=running_parley.base_url)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    login = json.loads((running_parley.var_folder / "demo-logins.json").read_text())[1]
    page.goto("/")
    page.get_by_label("E-mail").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/chat/")
    yield page
    assert not problems
    context.close()


def ask(page: Page, question: str) -> None:
    """Ask in a new chat."""
    page.goto("/chat/")
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}/"))


def test_the_installation_is_ready(running_parley: RunningParley) -> None:
    with urlopen(f"{running_parley.base_url}/readyz") as response:
        assert set(json.load(response)["parts"].values()) == {"ok"}


def test_a_long_manual_is_uploaded_read_and_cited(page: Page, tmp_path: Path) -> None:
    manual = tmp_path / "waterworks-manual.pdf"
    write_long_manual(manual, pages=120)
    page.goto("/documents/")
    page.locator("#upload-files").set_input_files(manual)
    row = page.get_by_role("row").filter(has_text=manual.name)
    expect(row.locator("[data-badge]")).to_have_text("Ready", timeout=PATIENT_MS)

    ask(page, NEEDLE_QUESTION)
    answer = page.locator(ANSWER)
    expect(answer.locator(".receipt")).to_be_visible(timeout=PATIENT_MS)
    expect(answer.locator(".message__text")).to_contain_text("violet")
    source = answer.locator(".sources__item").first
    expect(source).to_contain_text(f"page {NEEDLE_PAGE}")
    source.click()
    beside = page.locator("[data-beside]")
    expect(beside.locator("mark")).to_have_text(NEEDLE_SENTENCE)
    beside.get_by_role("link", name="Open the document").click()
    marked = page.locator("#passage")
    expect(marked).to_be_in_viewport()
    expect(marked).to_have_text(NEEDLE_SENTENCE)


def test_the_receipt_shows_what_the_answer_cost(page: Page) -> None:
    ask(page, "How many days of paid annual leave do full-time employees have?")
    receipt = page.locator(f"{ANSWER} .receipt")
    expect(receipt).to_be_visible(timeout=PATIENT_MS)
    expect(page.locator(f"{ANSWER} .message__text")).to_contain_text("28")
    receipt.locator("summary").click()
    expect(receipt).to_contain_text("Usage record")
    expect(receipt.locator("tfoot .money").first).not_to_have_text("0 $")


def test_a_greeting_is_answered_as_one(page: Page) -> None:
    ask(page, "Hello!")
    expect(page.locator(f"{ANSWER} .receipt")).to_be_visible(timeout=PATIENT_MS)
    expect(page.locator(ANSWER)).not_to_contain_text("don't say")


def test_an_answer_is_stopped(page: Page) -> None:
    page.goto("/chat/")
    page.locator(".composer__sources").click()
    page.get_by_label("None, just the model").check()
    page.get_by_role("button", name="Done").click()
    page.get_by_label("Your question").fill(
        "Write a very long story about a harbour and its ships."
    )
    page.keyboard.press("Enter")
    live = page.locator(f"{ANSWER} .message__text")
    expect(live).not_to_be_empty(timeout=PATIENT_MS)
    page.get_by_role("button", name="Stop the answer").click()
    expect(page.locator(ANSWER)).to_contain_text("You stopped this answer", timeout=PATIENT_MS)


def test_a_reload_joins_the_running_answer(page: Page) -> None:
    ask(page, "What does the warranty of the heat pump cover, and for how long?")
    page.reload()
    expect(page.locator(f"{ANSWER} .receipt")).to_be_visible(timeout=PATIENT_MS)
    expect(page.locator(f"{ANSWER} .message__text")).not_to_be_empty()
