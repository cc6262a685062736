"""What Django leaves out of ASGI: start-up, the drain of running replies at shutdown, and lost connections.

A view's exception after its response began skips Django's clean-up, and the connection of the request's thread
would never come back to the pool (Django 5.2): the wrapper closes it on that thread.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connection, connections

from apps.caching import access, listener, remote
from apps.chat.replies import close_desk, desk
from apps.llm import services as llm

logger = logging.getLogger(__name__)

# The server has waited for open streams before this, and `manage.py up` ends what takes longer than 10 s in all.
DRAIN_SECONDS = 3.0

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_lifespan(application: Application) -> Application:
    """Return the application with a lifespan and with connections closed after any exception."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        # Outermost, so that the request's thread is still there when Django has left its own context.
        async with ThreadSensitiveContext():
            try:
                await application(scope, receive, send)
            except BaseException:
                await asyncio.shield(sync_to_async(connections.close_all)())
                raise

    return wrapped


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await _start_up()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await close_desk(drain_seconds=DRAIN_SECONDS)
            await llm.close()
            await remote.aclose()
            # The server ends by the signal it was stopped with: Python's own farewell never comes.
            await asyncio.to_thread(access.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _start_up() -> None:
    """Warm what the first question would else wait for; the service starts without it too, and says so."""
    try:
        await desk().steps.hop(_warm)
    except Exception:
        logger.exception("not warmed up")


def _warm() -> None:
    connection.ensure_connection()
    listener.ensure()
    llm.warm()
