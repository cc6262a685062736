"""Pages and endpoints of documents; whatever a person may not read, or not manage, answers 404."""

from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.files import File
from django.db import close_old_connections
from django.db.models import Q
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import Department, User
from apps.accounts.services import NoDepartmentError, paying_department
from apps.caching import http
from apps.documents import reasons, services
from apps.documents.events import progress_events
from apps.documents.facts import DocumentFacts, with_facts
from apps.documents.forms import DetailsForm, UploadForm, VisibilityForm
from apps.documents.models import Document
from apps.documents.parsing.kinds import EXTENSIONS, kind_of_content_type
from apps.documents.parsing.types import RefusedError
from apps.documents.progress import UNFINISHED, read_progress
from apps.documents.readable import (
    DEPARTMENT,
    departments_of,
    names_of,
    readable_facts,
    row_for,
)
from apps.documents.rows import Filters, listed, rows_of, visible_tags
from apps.documents.storage import open_original, pieces
from apps.documents.types import Named
from apps.documents.viewer import page_at, window
from apps.tuning import live

PEOPLE_FOUND = 10
MAX_WATCHED = 100


class SignedInRequest(HttpRequest):
    """A request behind `login_required`."""

    user: User


def _refused(code: str, message: str, status: int = 400) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def _invalid(form: Any) -> JsonResponse:
    messages = [message for errors in form.errors.values() for message in errors]
    return _refused("invalid", " ".join(messages))


def _managed(request: SignedInRequest, document_id: UUID) -> Document:
    return get_object_or_404(Document.objects.manageable_by(request.user), pk=document_id)


def _text(request: HttpRequest, name: str) -> str:
    """Return what is searched for, without the NUL no text in the database can have."""
    return request.GET.get(name, "").replace("\x00", "").strip()


@login_required
@require_GET
def document_list(request: SignedInRequest) -> HttpResponse:
    """Show the person's documents; with `partial` only the rows."""
    filters = Filters(
        q=_text(request, "q")[:200],
        tag=_text(request, "tag"),
        status=request.GET.get("status", ""),
    )
    rows, next_cursor = listed(request.user, filters, request.GET.get("after", ""))
    context: dict[str, Any] = {
        "rows": rows,
        "next_cursor": next_cursor,
        "q": filters.q,
        "tag": filters.tag,
        "status": filters.status,
    }
    moments = [row.uploaded_at for row in rows]
    if request.GET.get("partial"):
        return http.fragment(request, "documents/_rows.html", context, moments=moments)
    context |= _list_facts(request.user, rows)
    return http.page(request, "documents/list.html", context, moments=moments)


def _list_facts(user: User, rows: list[Any]) -> dict[str, Any]:
    departments = list(Department.objects.payable_by(user))
    return {
        "has_any": bool(rows) or Document.objects.visible_to(user).exists(),
        "tags": visible_tags(user),
        "statuses": Document.Status.choices,
        "upload_form": UploadForm(user=user),
        "departments": departments,
        "paying_department": paying_department(user) if departments else None,
        "max_bytes": live.integer("documents.upload_max_bytes"),
        "accept": ",".join(EXTENSIONS),
        "unfinished_ids": ",".join(str(row.id) for row in rows if row.status in UNFINISHED),
    }


@login_required
@require_POST
def upload(request: SignedInRequest) -> JsonResponse:
    """Take in one file."""
    form = UploadForm(request.POST, request.FILES, user=request.user)
    if not form.is_valid():
        return _invalid(form)
    file = form.cleaned_data["file"]
    try:
        document = services.upload(
            owner=request.user,
            file=file,
            name=file.name,
            visibility=form.chosen(),
            paying_department=form.cleaned_data["paying_department"]
            or paying_department(request.user),
            tags=form.cleaned_data["tags"],
        )
    except RefusedError as refused:
        return _refused(refused.code, reasons.message(refused.code))
    except NoDepartmentError:
        return _refused(
            "no_department",
            _("You are in no department, so nobody could be charged. Ask an operator."),
        )
    return JsonResponse(
        {
            "id": str(document.pk),
            "url": reverse("documents:detail", args=[document.pk]),
            "name": document.name,
            "status": document.status,
            "status_label": document.get_status_display(),
        },
        status=201,
    )


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
        context |= _sharing(request.user, facts, row.visibility)
    return http.page(request, "documents/detail.html", context, moments=[row.uploaded_at])


def _described(facts: DocumentFacts) -> list[tuple[str, str]]:
    labels = {"title": _("Title"), "author": _("Author"), "subject": _("Subject")}
    return [(labels[name], value) for name, value in facts.metadata if name in labels]


def _sharing(user: User, facts: DocumentFacts, visibility: str) -> dict[str, Any]:
    departments = departments_of(user)
    shared_with = facts.audience_department_id
    if shared_with and shared_with not in {one.id for one in departments}:
        names = names_of([(DEPARTMENT, shared_with)])
        departments = (*departments, Named(shared_with, names.get(shared_with, "")))
    form = VisibilityForm(
        user=user,
        departments=sorted(departments, key=lambda one: one.name),
        initial={"visibility": visibility, "department": shared_with},
    )
    return {"update_form": form, "people": _named_people(facts)}


def _named_people(facts: DocumentFacts) -> list[dict[str, str]]:
    if not facts.reader_count:
        return []
    named = User.objects.filter(audience_memberships__audience_id=facts.audience_id)
    return [_person(person) for person in named.exclude(pk=facts.owner_id).order_by("email")]


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


@login_required
@require_POST
def update(request: SignedInRequest, document_id: UUID) -> JsonResponse:
    """Change what was sent of name, tags and visibility."""
    document = _managed(request, document_id)
    details = DetailsForm(request.POST)
    sharing = VisibilityForm(
        request.POST, user=request.user, shared_with=document.audience.department
    )
    if not details.is_valid():
        return _invalid(details)
    if "visibility" in request.POST and not sharing.is_valid():
        return _invalid(sharing)
    try:
        if "name" in request.POST:
            services.rename(document=document, name=details.cleaned_data["name"])
    except RefusedError as refused:
        return _refused(refused.code, reasons.message(refused.code))
    if "tags" in request.POST:
        services.set_tags(document=document, tags=details.cleaned_data["tags"])
    if "visibility" in request.POST:
        services.change_visibility(document=document, by=request.user, visibility=sharing.chosen())
    row = rows_of(request.user, [with_facts(Document.objects.all()).get(pk=document_id)])[0]
    return JsonResponse(
        {
            "id": str(row.id),
            "name": row.name,
            "tags": row.tags,
            "visibility": row.visibility,
            "visibility_label": row.visibility_label,
        }
    )


@login_required
@require_POST
def delete(request: SignedInRequest, document_id: UUID) -> HttpResponse:
    """Delete a document for good."""
    services.delete(document=_managed(request, document_id))
    if request.accepts("text/html") and not request.headers.get("Accept", "").startswith(
        "application/json"
    ):
        return redirect("documents:list")
    return JsonResponse({"url": reverse("documents:list")})


@login_required
@require_POST
def reindex(request: SignedInRequest, document_id: UUID) -> JsonResponse:
    """Build the document's text and index anew."""
    document = _managed(request, document_id)
    try:
        services.reindex(document=document)
    except services.BusyError:
        return _refused("busy", _("This document is being read already."), 409)
    return JsonResponse(read_progress(request.user, [document.pk])[0].as_dict())


@login_required
@require_POST
def retry(request: SignedInRequest, document_id: UUID) -> JsonResponse:
    """Take a failed run up again."""
    document = _managed(request, document_id)
    try:
        services.retry(document=document)
    except services.NotRetryableError:
        return _refused("not_retryable", _("There is nothing to try again."), 409)
    return JsonResponse(read_progress(request.user, [document.pk])[0].as_dict())


@login_required
async def events(request: HttpRequest) -> HttpResponseBase:
    """Stream the progress of the documents named, until all have ended."""
    user: Any = await request.auser()
    try:
        ids = [UUID(text) for text in request.GET.get("ids", "").split(",") if text]
    except ValueError:
        return _refused("invalid", _("These are no documents."))
    response = StreamingHttpResponse(
        progress_events(user, ids[:MAX_WATCHED]), content_type="text/event-stream"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


@login_required
@require_GET
def people(request: SignedInRequest) -> JsonResponse:
    """Find colleagues to share with."""
    q = _text(request, "q")[:100]
    found = User.objects.filter(is_active=True).exclude(pk=request.user.pk)
    if q:
        found = found.filter(Q(full_name__icontains=q) | Q(email__icontains=q))
    return JsonResponse(
        {
            "people": [
                _person(person) for person in found.order_by("full_name", "email")[:PEOPLE_FOUND]
            ]
        }
    )


def _person(person: User) -> dict[str, str]:
    return {"id": str(person.pk), "name": str(person), "email": person.email}
