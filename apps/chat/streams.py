"""The views that stream: they post or join a reply and send its events; no view of a page is here.

A stream holds no database connection: what it needs is read on the desk's threads, which give theirs back.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial, wraps
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.accounts.models import User
from apps.accounts.services import AccountsError
from apps.chat import forms, pages, services
from apps.chat.live.events import Channel, Event
from apps.chat.models import Conversation, Message
from apps.chat.replies import desk
from apps.chat.services import ChatError, Draft, Posted

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15
# How often a viewer asks the database, once the events stay away: another process may have finished the reply.
DOUBT_SECONDS = 2.0

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
Events = AsyncIterator[str]


def error_response(code: str, message: str, status: int) -> JsonResponse:
    """Return an error as programs read it."""
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def signed_in(view: View) -> View:
    """Give the view its user as second argument, or answer 401; turn what people do wrong into words."""

    @wraps(view)
    async def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        user = await request.auser()
        if not isinstance(user, User) or not user.is_active:
            return error_response(
                "signed_out", _("You are signed out. Sign in again, then repeat this."), 401
            )
        try:
            return await view(request, user, *args, **kwargs)
        except (Conversation.DoesNotExist, Message.DoesNotExist):
            return error_response("not_found", _("This conversation is not there any more."), 404)
        except ChatError as error:
            status = 409 if error.code in {"reply_running", "key_used"} else 400
            return error_response(error.code, str(error), status)
        except AccountsError as error:
            words = str(error) or _(
                "You belong to no department that could pay. Ask an operator to add you to one."
            )
            return error_response("no_department", words, 400)

    return wrapped


@require_POST
@signed_in
async def reply(request: HttpRequest, user: User) -> HttpResponseBase:
    """Post a question and stream its reply."""
    started = time.perf_counter()
    form = forms.ReplyForm(request.POST)
    if not form.is_valid():
        code = "too_long" if form.has_error("content", "max_length") else "invalid"
        return error_response(code, forms.first_error(form), 400)
    posted = await _begun(partial(_post, user, form), started=started)
    return _stream_posted(user, posted, has_question=True)


async def _begun(post: Callable[[], Posted], *, started: float) -> Posted:
    """Post and begin to write the reply, both or neither: a client that leaves meanwhile changes nothing."""

    async def begin() -> Posted:
        posted = await sync_to_async(post)()
        if posted.is_new and posted.reply.is_unfinished:
            desk().start(posted, started=started)
        return posted

    return await asyncio.shield(begin())


def _post(user: User, form: forms.ReplyForm) -> Posted:
    data = form.cleaned_data
    conversation = None
    if data["conversation"]:
        conversation = Conversation.objects.visible_to(user).get(pk=data["conversation"])
    draft = Draft(
        content=data["content"],
        idempotency_key=data["idempotency_key"],
        conversation=conversation,
        parent=data["parent"],
        department_id=data["department"],
        sources=data["sources"],
        document_ids=data["documents"],
    )
    return services.post_message(user=user, draft=draft)


def _message_html(user: User, message: Message) -> str:
    return render_to_string(
        "chat/_message.html", {"message": pages.message_view(user=user, message=message)}
    )


@require_POST
@signed_in
async def regenerate(request: HttpRequest, user: User, message_id: UUID) -> HttpResponseBase:
    """Ask for another answer beside this one and stream it."""
    started = time.perf_counter()
    form = forms.RegenerateForm(request.POST)
    if not form.is_valid():
        return error_response("invalid", forms.first_error(form), 400)
    key = form.cleaned_data["idempotency_key"]
    posted = await _begun(partial(_regenerate, user, message_id, key), started=started)
    return _stream_posted(user, posted, has_question=False)


def _regenerate(user: User, message_id: UUID, key: UUID) -> Posted:
    replies = Message.objects.visible_to(user).select_related("conversation", "parent")
    return services.regenerate(user=user, reply=replies.get(pk=message_id), idempotency_key=key)


@require_GET
@signed_in
async def stream(_request: HttpRequest, user: User, message_id: UUID) -> HttpResponseBase:
    """Join a reply: its events from the first on, or its end if that was before."""
    found = Message.objects.visible_to(user).filter(role=Message.Role.ASSISTANT)
    message = await found.aget(pk=message_id)
    return _response(_follow(user, message.pk, is_finished=not message.is_unfinished))


@require_POST
@signed_in
async def stop(_request: HttpRequest, user: User, message_id: UUID) -> HttpResponseBase:
    """Stop a reply, wherever it is being written."""
    message = await Message.objects.visible_to(user).aget(
        pk=message_id, role=Message.Role.ASSISTANT
    )
    await sync_to_async(services.stop)(reply=message)
    desk().cancel(message.pk)
    return HttpResponse(status=204)


def _stream_posted(user: User, posted: Posted, *, has_question: bool) -> HttpResponseBase:
    conversation = posted.conversation
    accepted = {
        "conversation": str(conversation.pk),
        "conversation_url": reverse("chat:conversation-detail", args=[conversation.pk]),
        "title": conversation.title,
        "question": str(posted.question.pk),
        "reply": str(posted.reply.pk),
    }

    async def events() -> Events:
        # Rendered while the reply is being prepared.
        html = (
            await desk().steps.hop(_message_html, user, posted.question) if has_question else None
        )
        yield _sse("accepted", {**accepted, "question_html": html})
        async for chunk in _follow(
            user, posted.reply.pk, is_finished=not posted.reply.is_unfinished
        ):
            yield chunk

    return _response(events())


def _response(events: Events) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        _without_connection(events),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _without_connection(events: Events) -> Events:
    """Give back the request's database connection before the first byte: middleware may have used it until now."""
    await sync_to_async(connections.close_all)()
    try:
        async for chunk in events:
            yield chunk
    except Exception:
        # The response has begun: an exception could only break it off, and would keep its connection (Django 5.2).
        logger.exception("stream broken off")
        text = _("The connection to the answer was lost. Reload the page to see how it went.")
        yield _sse("failed", {"html": "", "code": "stream_broken", "message": text})


def _sse(name: str, data: Mapping[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _follow(user: User, reply_id: UUID, *, is_finished: bool) -> Events:
    """Yield a reply's events as the page reads them, ending with the rendered message."""
    if not is_finished:
        live = desk().live(reply_id)
        if live is not None:
            async for chunk in _chunks(live.channel, reply_id, is_ours=True):
                yield chunk
        else:
            channel = desk().relay.watch(reply_id)
            try:
                async for chunk in _chunks(channel, reply_id, is_ours=False):
                    yield chunk
            finally:
                desk().relay.unwatch(reply_id)
    yield await desk().steps.hop(_render_end, user, reply_id)


async def _chunks(channel: Channel, reply_id: UUID, *, is_ours: bool) -> Events:
    """Yield a channel's events, with a comment where it is long silent, until the reply has ended in the database.

    When another process writes the reply, silence is doubted: that process, or Valkey, may be gone.
    """
    followed = channel.follow()
    waiting: asyncio.Future[Event] | None = None
    silent_since = time.monotonic()
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(followed))
            done, _pending = await asyncio.wait({waiting}, timeout=DOUBT_SECONDS)
            if done:
                try:
                    event = waiting.result()
                except StopAsyncIteration:
                    break
                finally:
                    waiting = None
                if not event.name.startswith("_"):
                    yield _sse(event.name, event.data)
                    silent_since = time.monotonic()
            elif not is_ours and await desk().steps.hop(_is_finished, reply_id):
                return
            elif time.monotonic() - silent_since >= KEEP_ALIVE_SECONDS:
                yield ": keep-alive\n\n"
                silent_since = time.monotonic()
        while not await desk().steps.hop(_is_finished, reply_id):
            # Its end could not be stored: the sweeper will, once the lease is over.
            await asyncio.sleep(DOUBT_SECONDS)
            yield ": keep-alive\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()


def _is_finished(reply_id: UUID) -> bool:
    return not Message.objects.filter(pk=reply_id, state__in=Message.UNFINISHED).exists()


def _render_end(user: User, reply_id: UUID) -> str:
    """Return the last event: the message as the page will show it."""
    message = Message.objects.visible_to(user).filter(pk=reply_id).first()
    if message is None:
        text = _("This conversation is not there any more.")
        return _sse("failed", {"html": "", "code": "not_found", "message": text})
    view = pages.message_view(user=user, message=message)
    html = render_to_string("chat/_message.html", {"message": view})
    if message.state == Message.State.FAILED:
        return _sse(
            "failed", {"html": html, "code": view.error_code, "message": view.error_message}
        )
    return _sse("done", {"html": html, "state": message.state})
