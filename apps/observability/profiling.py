"""Silk for a live share of requests; never for streams, and no sync-only middleware in their way."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve
from silk import sql
from silk.collector import DataCollector
from silk.middleware import SilkyMiddleware

from apps.tuning import live

SILK_PREFIX = "/silk/"
RATIO = "observability.profiling_ratio"
NEVER_PREFIXES = ("/static/", "/metrics", "/livez", "/readyz")


def should_profile(request: HttpRequest, ratio: float) -> bool:
    """Say whether this request goes through silk: its own pages always, others by the live share, `ratio`.

    Async views are the streams: silk would hold a connection for each to its end (they are timed elsewhere).
    """
    if request.path.startswith(SILK_PREFIX):
        return True
    if request.path.startswith(NEVER_PREFIXES):
        return False
    if ratio <= 0 or random.random() >= ratio:  # noqa: S311 - sampling
        return False
    try:
        return not iscoroutinefunction(resolve(request.path_info).func)
    except Resolver404:
        return False


class OwnQueriesMiddleware(SilkyMiddleware):  # type: ignore[misc]  # silk ships no types
    """Silk that looks at the queries of the request it profiles, and at no others.

    As it comes, the first profiled request has it explain every later query of the process, whoever makes it.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if not hasattr(SQLCompiler, "_execute_sql"):
            setattr(SQLCompiler, "_execute_sql", SQLCompiler.execute_sql)  # noqa: B010 - silk's name for it
            setattr(SQLCompiler, "execute_sql", _execute_sql)  # noqa: B010 - as silk does

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            response: HttpResponseBase = super().__call__(request)
        finally:
            DataCollector().clear()
        return response


def _execute_sql(compiler: Any, *args: Any, **options: Any) -> Any:
    # The collector's request is the thread's own.
    if DataCollector().request is None:
        return compiler._execute_sql(*args, **options)
    return sql.execute_sql(compiler, *args, **options)


class StaffProfilingMiddleware:
    """Put silk around the requests `should_profile` picks, and nothing around the rest."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        inner: Any = get_response
        self.silk = OwnQueriesMiddleware(async_to_sync(inner) if self.is_async else inner)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._acall(request)
        if not request.path.startswith(NEVER_PREFIXES):
            live.snapshot()
        picked = should_profile(request, float(live.known(RATIO)))
        chosen = self.silk if picked else self.get_response
        response: HttpResponseBase = chosen(request)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        if await self._picks(request):
            profiled: HttpResponseBase = await sync_to_async(self.silk)(request)
            return profiled
        response: HttpResponseBase = await self.get_response(request)  # type: ignore[misc]  # async twin
        return response

    async def _picks(self, request: HttpRequest) -> bool:
        """Decide without a thread hop while the live snapshot is fresh: most requests pay nothing."""
        if not live.is_fresh() and not request.path.startswith(NEVER_PREFIXES):
            await sync_to_async(live.snapshot)()
        # As known now: it may have ended since, and a look would be a query in the event loop.
        return should_profile(request, float(live.known(RATIO)))
