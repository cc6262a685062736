"""The text of a version as its page shows it: a window of pages, and the marks of one passage."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from apps.caching import store
from apps.documents.cache import PAGE_STARTS, PAGES
from apps.documents.models import Page
from apps.documents.parsing.kinds import kind_of_content_type
from apps.documents.types import PageRow, PageRows

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


def page_at(version_id: UUID, offset: int) -> int:
    """Return the number of the page an offset lies on, 1 for a version without such."""
    starts = store.get_or_compute(PAGE_STARTS, (version_id,), partial(_starts, version_id))
    found = bisect_right(starts, offset, key=lambda start: start[1])
    return starts[found - 1][0] if found else 1


def _starts(version_id: UUID) -> tuple[tuple[int, int], ...]:
    pages = Page.objects.filter(version_id=version_id).order_by("start_offset")
    return tuple(pages.values_list("number", "start_offset"))


def window(
    *, version_id: UUID, content_type: str, first: int, mark: tuple[int, int] | None
) -> PageWindow:
    """Return pages from `first` on, with [start, end) of the version's text marked.

    Whether the person may read them is the caller's question to the document's facts.
    """
    rows = store.get_or_compute(PAGES, (version_id, first), partial(_rows, version_id, first))
    views = list(_views(content_type, rows.pages, mark))
    return PageWindow(
        pages=views,
        previous_page=rows.previous_page,
        next_page=rows.next_page,
        has_passage=any(part.is_marked for view in views for part in view.parts),
    )


def _rows(version_id: UUID, first: int) -> PageRows:
    pages = Page.objects.filter(version_id=version_id).order_by("number")
    found = pages.filter(number__gte=first).values_list("number", "start_offset", "text")
    shown = [PageRow(*row) for row in found[: WINDOW_PAGES + 1]]
    following = shown.pop() if len(shown) > WINDOW_PAGES else None
    before = pages.filter(number__lt=first).order_by("-number")
    previous = list(before.values_list("number", flat=True)[:WINDOW_PAGES])
    return PageRows(
        pages=tuple(shown),
        previous_page=previous[-1] if previous else None,
        next_page=following.number if following else None,
    )


def _views(
    content_type: str, pages: Iterable[PageRow], mark: tuple[int, int] | None
) -> Iterable[PageView]:
    word = kind_of_content_type(content_type).page_word
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


def _parts(page: PageRow, mark: tuple[int, int] | None, *, needs_anchor: bool) -> list[PagePart]:
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
