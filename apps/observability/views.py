"""Health, metrics, the admin's health page, and the error page of a request that failed."""

import secrets
import sys

from django.conf import settings
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from apps.observability.health import parts, pool_figures

RETRY_AFTER_SECONDS = 5


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Answer while the process runs; asks nobody else."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when all needed parts do, else 503; either way say which part is missing and why."""
    found = parts()
    is_ready = all(part.is_fine for part in found if part.is_needed)
    body = {
        "status": "ready" if is_ready else "not ready",
        "parts": {part.name: part.problem or "ok" for part in found},
    }
    return JsonResponse(body, status=200 if is_ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Give Prometheus its figures, to the bearer of METRICS_TOKEN or a signed-in operator; 404 to others."""
    offered = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = settings.METRICS_TOKEN
    is_scraper = bool(token) and secrets.compare_digest(offered.encode(), token.encode())
    if not is_scraper and not getattr(request.user, "is_staff", False):
        raise Http404
    response: HttpResponse = ExportToDjangoView(request)
    return response


def health(request: HttpRequest) -> HttpResponse:
    """Show the parts and the pool to operators (wrapped by the admin's own access check)."""
    context = {"parts": parts(), "pool": pool_figures(), "title": _("Health")}
    return render(request, "admin/health.html", context)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a failed request: 503 with Retry-After when no database connection was to be had, else 500."""
    error = sys.exc_info()[1]
    is_unavailable = isinstance(error, OperationalError)
    status = 503 if is_unavailable else 500
    if request.headers.get("Accept", "").startswith(("application/json", "text/event-stream")):
        message = (
            _("The service is busy. Try again in a few seconds.")
            if is_unavailable
            else _("Something failed.")
        )
        response: HttpResponse = JsonResponse(
            {"error": {"code": "unavailable", "message": message}}, status=status
        )
    else:
        response = render(request, f"{status}.html", status=status)
    if is_unavailable:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
