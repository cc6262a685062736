"""What wraps every request: its id, its stage times, and the policy of pages with scripts of their own."""

import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from apps.core.context import request_context
from apps.core.stages import Timings, collect

# Alpine, inside the admin's theme, evaluates expressions; silk's pages hold inline scripts.
RELAXED_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
RELAXED_PREFIXES = ("/admin/", "/silk/")


def _incoming_id(request: HttpRequest) -> UUID | None:
    """Return the caller's X-Request-ID if it is a UUID: anything else could forge log lines."""
    try:
        # From META: `request.headers` would keep what it holds now, and later readers miss our id.
        return UUID(request.META.get("HTTP_X_REQUEST_ID", ""))
    except ValueError:
        return None


def _finish(
    request: HttpRequest,
    response: HttpResponseBase,
    request_id: UUID,
    timings: Timings,
    started: float,
) -> None:
    elapsed_ms = (time.perf_counter() - started) * 1000
    response.headers["X-Request-ID"] = str(request_id)
    response.headers["X-Process-Time"] = f"{elapsed_ms:.1f}"
    parts = [timings.server_timing(), f"total;dur={elapsed_ms:.1f}"]
    response.headers["Server-Timing"] = ", ".join(part for part in parts if part)
    if request.path.startswith(RELAXED_PREFIXES):
        response.headers.setdefault("Content-Security-Policy", RELAXED_POLICY)


class RequestContextMiddleware:
    """Bind the request id and collect stages; sync or async as its neighbour is, so no thread hop is added."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        started = time.perf_counter()
        with request_context(_incoming_id(request)) as request_id, collect() as timings:
            request.META["HTTP_X_REQUEST_ID"] = str(request_id)
            response = self.get_response(request)
        _finish(request, response, request_id, timings, started)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        with request_context(_incoming_id(request)) as request_id, collect() as timings:
            request.META["HTTP_X_REQUEST_ID"] = str(request_id)
            response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]  # async twin
        _finish(request, response, request_id, timings, started)
        return response
