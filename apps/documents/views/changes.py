"""What people change of their documents: take in, describe, share, read anew, delete."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.requests import SignedInRequest
from apps.accounts.services import NoDepartmentError, paying_department
from apps.documents import reasons, services
from apps.documents.facts import with_facts
from apps.documents.forms import DetailsForm, UploadForm, VisibilityForm
from apps.documents.models import Document
from apps.documents.parsing.types import RefusedError
from apps.documents.progress import read_progress
from apps.documents.rows import rows_of
from apps.documents.views.base import refused


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
    except RefusedError as error:
        return refused(error.code, reasons.message(error.code))
    except NoDepartmentError:
        return refused(
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
    except RefusedError as error:
        return refused(error.code, reasons.message(error.code))
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
        return refused("busy", _("This document is being read already."), 409)
    return _progress(request, document)


@login_required
@require_POST
def retry(request: SignedInRequest, document_id: UUID) -> JsonResponse:
    """Take a failed run up again."""
    document = _managed(request, document_id)
    try:
        services.retry(document=document)
    except services.NotRetryableError:
        return refused("not_retryable", _("There is nothing to try again."), 409)
    return _progress(request, document)


def _managed(request: SignedInRequest, document_id: UUID) -> Document:
    return get_object_or_404(Document.objects.manageable_by(request.user), pk=document_id)


def _invalid(form: Any) -> JsonResponse:
    messages = [message for errors in form.errors.values() for message in errors]
    return refused("invalid", " ".join(messages))


def _progress(request: SignedInRequest, document: Document) -> JsonResponse:
    return JsonResponse(read_progress(request.user, [document.pk])[0].as_dict())
