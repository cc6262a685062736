"""A document as its readers see it: its facts, its pages, and the file as it was uploaded."""

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.files import File
from django.db import close_old_connections
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.accounts.models import User
from apps.accounts.requests import SignedInRequest
from apps.caching import http
from apps.documents.facts import DocumentFacts
from apps.documents.models import Document
from apps.documents.parsing.kinds import kind_of_content_type
from apps.documents.readable import readable_facts, row_for
from apps.documents.storage import open_original, pieces
from apps.documents.viewer import page_at, window
from apps.documents.views.sharing import sharing


def _number(text: str | None) -> int | None:
    """Return a whole number that fits the database, None for anything else."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 16
    return int(text) if is_number and text else None


def _facts(request: SignedInRequest, document_id: UUID) -> DocumentFacts:
    facts = readable_facts(request.user, [document_id]).get(document_id)
    if facts is None:
        raise Http404
    return facts


def _version(request: HttpRequest, facts: DocumentFacts) -> tuple[UUID, int] | None:
    """Return id and page count of the version asked for, which a citation may name, else of the one that serves."""
    asked = request.GET.get("version")
    if not asked:
        return (facts.active_version_id, facts.page_count) if facts.active_version_id else None
    try:
        page_count = dict(facts.versions).get(UUID(asked))
    except ValueError:
        page_count = None
    if not page_count:
        raise Http404
    return UUID(asked), page_count


def _mark(request: HttpRequest) -> tuple[int, int] | None:
    start, end = _number(request.GET.get("start")), _number(request.GET.get("end"))
    return (start, end) if start is not None and end is not None and start < end else None


@login_required
@require_GET
def detail(request: SignedInRequest, document_id: UUID) -> HttpResponse:
    """Show a document: its facts and a window of its pages, at the passage asked for."""
    facts = _facts(request, document_id)
    row = row_for(request.user, facts)
    version, mark = _version(request, facts), _mark(request)
    version_id, page_count = version or (None, 0)
    context: dict[str, Any] = {
        "document": row,
        "facts": _described(facts),
        "is_current_version": version_id is not None and version_id == facts.active_version_id,
        "version_id": version_id,
        "page_count": page_count,
        "pages": [],
        "has_passage": False,
        "start": mark[0] if mark else None,
        "end": mark[1] if mark else None,
    }
    if version_id is not None:
        first = page_at(version_id, mark[0]) if mark else _number(request.GET.get("page")) or 1
        shown = window(
            version_id=version_id, content_type=facts.content_type, first=first, mark=mark
        )
        context |= {
            "pages": shown.pages,
            "next_page": shown.next_page,
            "previous_page": shown.previous_page,
            "has_passage": shown.has_passage,
        }
    if row.can_manage:
        context |= sharing(request.user, facts, row.visibility)
    return http.page(request, "documents/detail.html", context, moments=[row.uploaded_at])


def _described(facts: DocumentFacts) -> list[tuple[str, str]]:
    labels = {"title": _("Title"), "author": _("Author"), "subject": _("Subject")}
    return [(labels[name], value) for name, value in facts.metadata if name in labels]


@login_required
@require_GET
def pages(request: SignedInRequest, document_id: UUID) -> HttpResponse:
    """Give more pages of the viewer, for a scroll down or up."""
    facts = _facts(request, document_id)
    version = _version(request, facts)
    if version is None:
        raise Http404
    version_id, page_count = version
    first, mark = _number(request.GET.get("from")) or 1, _mark(request)

    def rendered() -> HttpResponse:
        shown = window(
            version_id=version_id, content_type=facts.content_type, first=first, mark=mark
        )
        parts = [
            render_to_string("documents/_page.html", {"page": page}, request)
            for page in shown.pages
        ]
        return HttpResponse("".join(parts), headers={"X-Next-Page": str(shown.next_page or "")})

    # A version's pages never change, so its name stands for their text: 304 reads none of it.
    shown = [version_id, page_count, facts.content_type, first, mark]
    return http.conditional(request, shown, rendered)


@login_required
@require_GET
async def original(request: HttpRequest, document_id: UUID) -> HttpResponseBase:
    """Give the file as it was uploaded, always as a download: nothing of it is run in our pages.

    Sent in pieces, without a database connection: a slow reader takes neither memory nor a place in the pool.
    """
    user: Any = await request.auser()
    document, file = await sync_to_async(_opened)(user, document_id)
    await sync_to_async(close_old_connections)()
    kind = kind_of_content_type(document.content_type)
    name = document.name
    if not name.lower().endswith(kind.extensions):
        name += kind.extensions[0]
    return StreamingHttpResponse(
        pieces(file),
        content_type=document.content_type,
        headers={
            "Content-Disposition": content_disposition_header(as_attachment=True, filename=name),
            "Content-Length": str(document.size_bytes),
            "Cache-Control": http.NOT_KEPT,
            "X-Content-Type-Options": "nosniff",
        },
    )


def _opened(user: User, document_id: UUID) -> tuple[Document, File[bytes]]:
    document = get_object_or_404(Document.objects.visible_to(user), pk=document_id)
    try:
        return document, open_original(document.sha256)
    except FileNotFoundError:
        raise Http404 from None
