"""The text of a version as its page shows it: a window of pages, and the marks of one passage."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from apps.documents.models import Document, DocumentVersion, Page
from apps.documents.parsing.kinds import kind_of_content_type

WINDOW_PAGES: Final = 15


@dataclass(frozen=True, slots=True)
class PagePart:
    """A run of text, marked or not; the anchor is where the page scrolls to."""

    text: str
    is_marked: bool = False
    is_anchor: bool = False


@dataclass(frozen=True, slots=True)
class PageView:
    """A page with its label ("Page 3", "Slide 3"; empty where the format has no pages) and its text in parts."""

    number: int
    label: str
    start_offset: int
    parts: list[PagePart]


@dataclass(frozen=True, slots=True)
class PageWindow:
    """Some pages in a row, and the numbers of the page before and the page after them."""

    pages: list[PageView]
    previous_page: int | None
    next_page: int | None
    has_passage: bool


def page_at(version: DocumentVersion, offset: int) -> int:
    """Return the number of the page an offset lies on, 1 for a version without such."""
    found = Page.objects.filter(version=version, start_offset__lte=offset).order_by("-start_offset")
    return found.values_list("number", flat=True).first() or 1


def window(
    document: Document, version: DocumentVersion, *, first: int, mark: tuple[int, int] | None
) -> PageWindow:
    """Return pages from `first` on, with [start, end) of the version's text marked."""
    pages = version.pages.order_by("number")
    shown = list(pages.filter(number__gte=first)[: WINDOW_PAGES + 1])
    following = shown.pop() if len(shown) > WINDOW_PAGES else None
    before: QuerySet[Page] = pages.filter(number__lt=first).order_by("-number")
    previous = list(before.values_list("number", flat=True)[:WINDOW_PAGES])
    views = list(_views(document, shown, mark))
    return PageWindow(
        pages=views,
        previous_page=previous[-1] if previous else None,
        next_page=following.number if following else None,
        has_passage=any(part.is_marked for view in views for part in view.parts),
    )


def _views(
    document: Document, pages: Iterable[Page], mark: tuple[int, int] | None
) -> Iterable[PageView]:
    word = kind_of_content_type(document.content_type).page_word
    labels = {"page": _("Page %d"), "slide": _("Slide %d"), "sheet": _("Sheet %d")}
    needs_anchor = True
    for page in pages:
        parts = _parts(page, mark, needs_anchor=needs_anchor)
        needs_anchor = needs_anchor and not any(part.is_anchor for part in parts)
        yield PageView(
            number=page.number,
            label=labels[word] % page.number if word else "",
            start_offset=page.start_offset,
            parts=parts,
        )


def _parts(page: Page, mark: tuple[int, int] | None, *, needs_anchor: bool) -> list[PagePart]:
    text = page.text
    if mark is None:
        return [PagePart(text)]
    start = min(max(mark[0] - page.start_offset, 0), len(text))
    end = min(max(mark[1] - page.start_offset, 0), len(text))
    if start >= end:
        return [PagePart(text)]
    parts = [
        PagePart(text[:start]),
        PagePart(text[start:end], is_marked=True, is_anchor=needs_anchor),
        PagePart(text[end:]),
    ]
    return [part for part in parts if part.text]
