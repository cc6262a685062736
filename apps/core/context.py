"""The request id that goes with everything one request or task causes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

import structlog

from apps.core.ids import uuid7

_request_id: ContextVar[UUID | None] = ContextVar("request_id", default=None)


def current_request_id() -> UUID | None:
    """Return the id of the request or task being worked on, None outside of any."""
    return _request_id.get()


@contextmanager
def request_context(request_id: UUID | None = None) -> Iterator[UUID]:
    """Bind a request id (a new one if none is given) to all that runs inside, log lines included."""
    bound_id = request_id or uuid7()
    token = _request_id.set(bound_id)
    try:
        with structlog.contextvars.bound_contextvars(request_id=str(bound_id)):
            yield bound_id
    finally:
        _request_id.reset(token)
