"""The list of a person's documents, and the progress of those being read."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.accounts.models import Department, User
from apps.accounts.requests import SignedInRequest
from apps.accounts.services import paying_department
from apps.caching import http
from apps.documents.events import progress_events
from apps.documents.forms import UploadForm
from apps.documents.models import Document
from apps.documents.parsing.kinds import EXTENSIONS
from apps.documents.progress import UNFINISHED
from apps.documents.rows import Filters, listed, visible_tags
from apps.documents.views.base import refused, searched
from apps.tuning import live

MAX_WATCHED = 100


@login_required
@require_GET
def document_list(request: SignedInRequest) -> HttpResponse:
    """Show the person's documents; with `partial` only the rows."""
    filters = Filters(
        q=searched(request, "q")[:200],
        tag=searched(request, "tag"),
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
async def events(request: HttpRequest) -> HttpResponseBase:
    """Stream the progress of the documents named, until all have ended."""
    user: Any = await request.auser()
    try:
        ids = [UUID(text) for text in request.GET.get("ids", "").split(",") if text]
    except ValueError:
        return refused("invalid", _("These are no documents."))
    response = StreamingHttpResponse(
        progress_events(user, ids[:MAX_WATCHED]), content_type="text/event-stream"
    )
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response
