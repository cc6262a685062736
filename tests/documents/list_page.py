"""The list of documents in a browser, as tests use it."""

from playwright.async_api import FilePayload, Locator, Page


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
