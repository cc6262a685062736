"""The writing of replies: each an asyncio task of its own, which no closed tab ends; prepare, stream, finish.

A `Desk` belongs to one event loop. It keeps the tasks, runs their synchronous steps on threads of its own (`steps`),
and watches for stops. No connection is held while a model streams.
"""

import asyncio
import contextvars
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from apps.billing.errors import BudgetExceededError
from apps.chat import failures, intent, receipts
from apps.chat.citations import place_url
from apps.chat.finish import finish
from apps.chat.live.events import ENDED, PREPARED, Event
from apps.chat.live.relay import Relay
from apps.chat.live.reply import LiveReply
from apps.chat.models import Conversation, Message
from apps.chat.prepare import prepare
from apps.chat.questions import Posted
from apps.chat.steps import PREPARE_THREADS, STEP_THREADS, Steps
from apps.chat.types import Ask, Basis, Outcome, Place, Prepared
from apps.core.context import request_context
from apps.core.stages import collect
from apps.llm import services as llm
from apps.llm.models import Route
from apps.llm.types import Finished, Instead
from apps.tuning import live as tuning

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5


@dataclass(slots=True)
class Running:
    """A reply this process is writing."""

    reply_id: UUID
    request_id: UUID
    live: LiveReply
    started: float
    basis: Basis
    work: asyncio.Task[str | None] | None = None
    first_token_ms: float | None = None
    error_code: str = ""
    refusal: dict[str, Any] | None = None
    # Of the page: the task has a context of its own, which knows none.
    language: str | None = field(default_factory=get_language)

    def elapsed_ms(self) -> float:
        """Return the time since the question arrived."""
        return round((time.perf_counter() - self.started) * 1000, 1)


class Desk:
    """The replies one event loop is writing, and what they share."""

    def __init__(self) -> None:
        self.steps = Steps(STEP_THREADS, name="reply")
        self._preparing = Steps(PREPARE_THREADS, name="prepare")
        self._running: dict[UUID, Running] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self.relay = Relay(on_stop=self.cancel)

    def start(self, posted: Posted, *, started: float) -> None:
        """Begin to write a new reply; `started` is the question's arrival by `time.perf_counter`."""
        reply = posted.reply
        assert reply.request_id is not None  # noqa: S101 - every reply has one
        live = LiveReply(reply.pk, self.relay)
        running = Running(reply.pk, reply.request_id, live, started, Basis(reason=""))
        self._running[reply.pk] = running
        is_searched = (
            posted.conversation.sources != Conversation.Sources.NONE
            and intent.small_talk(posted.question.content) is None
        )
        live.emit(_stage("retrieval" if is_searched else "model"))
        # A context of its own: in the request's, synchronous calls would wait for a thread that ends with it.
        task = asyncio.create_task(self._write(running), context=contextvars.Context())
        self._tasks[reply.pk] = task
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), context=contextvars.Context())

    def live(self, reply_id: UUID) -> LiveReply | None:
        """Return what is live of a reply this process writes."""
        running = self._running.get(reply_id)
        return running.live if running else None

    def cancel(self, reply_id: UUID, error_code: str = "") -> None:
        """Stop the writing of a reply, if it is this process that writes it."""
        running = self._running.get(reply_id)
        work = running.work if running is not None else None
        # Once only: the view, the signal and the watcher all say it, and a second time would break off the settling.
        if running is not None and work is not None and not work.done() and not work.cancelling():
            running.error_code = error_code
            work.cancel()

    async def _write(self, running: Running) -> None:
        """Write one reply and see it to its end, whatever happens on the way."""
        with request_context(running.request_id), collect() as timings:
            # A task inside the task: a stop ends the work and never the finishing.
            running.work = asyncio.create_task(self._work(running))
            ended = await self._outcome(running)
            outcome = Outcome(
                **ended,
                text=running.live.text,
                refusal=running.refusal,
                stages_ms=timings.as_dict(),
                first_token_ms=running.first_token_ms,
                total_ms=running.elapsed_ms(),
            )
            try:
                await self.steps.hop(finish, running.reply_id, running.basis, outcome)
            except Exception:
                # The sweeper finishes it from the stream once its lease is over.
                logger.exception("reply not finished")
            finally:
                running.live.emit(Event(ENDED))
                del self._running[running.reply_id], self._tasks[running.reply_id]

    async def _outcome(self, running: Running) -> dict[str, Any]:
        """Wait for the work and return its state, error code and finish reason."""
        assert running.work is not None  # noqa: S101 - set by the caller
        try:
            finish_reason = await running.work
            # None: it was stopped before it was begun. (Or ended by the sweeper; then nothing is changed any more.)
            state = Message.State.STOPPED if finish_reason is None else Message.State.DONE
            return {"state": state, "finish_reason": finish_reason or ""}
        except asyncio.CancelledError:
            state = Message.State.FAILED if running.error_code else Message.State.STOPPED
            return {"state": state, "error_code": running.error_code}
        except Exception as error:
            code = failures.code_of(error)
            if code == failures.INTERNAL:
                logger.exception("reply failed")
            else:
                logger.warning("reply failed", extra={"error_code": code, "error": repr(error)})
            return {"state": Message.State.FAILED, "error_code": code}

    async def _work(self, running: Running) -> str | None:
        """Prepare and stream; return the provider's finish reason: empty without a model, None when not waiting."""
        with override(running.language):
            try:
                return await self._answer(running)
            except BudgetExceededError as error:
                running.refusal = await self.steps.hop(receipts.refused_by, error.refusal)
                raise

    async def _answer(self, running: Running) -> str | None:
        prepared = await self._preparing.hop(prepare, running.reply_id)
        if prepared is None:
            return None
        running.basis = prepared.basis
        running.live.emit(Event(PREPARED, prepared.basis.to_json()))
        finish_reason = ""
        if prepared.ask is None:
            self._token(running, prepared.text)
        else:
            _tell_sources(running.live, prepared)
            finish_reason = await self._stream(running, prepared.ask)
        await running.live.streamed()
        return finish_reason

    async def _stream(self, running: Running, ask: Ask) -> str:
        running.live.emit(_stage("model"))
        stream = llm.stream(
            choice=ask.choice,
            messages=ask.messages,
            context=ask.context,
            temperature=ask.temperature,
            max_output_tokens=ask.max_output_tokens,
            use=Route.Use.ANSWER,
        )
        async with aclosing(stream) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.finish_reason
                if isinstance(event, Instead):
                    is_other = event.choice.llm_model_id != ask.choice.llm_model_id
                    running.basis = running.basis.by(event.choice, is_other=is_other)
                    running.live.emit(Event(PREPARED, running.basis.to_json()))
                else:
                    self._token(running, event.text)
        return ""

    def _token(self, running: Running, text: str) -> None:
        if running.first_token_ms is None and text:
            running.first_token_ms = running.elapsed_ms()
        running.live.token(text)

    async def _watch(self) -> None:
        """Look for stops and renew leases: one query for all replies of this process."""
        while self._running:
            await asyncio.sleep(WATCH_SECONDS)
            reply_ids = list(self._running)
            try:
                wanted = await self.steps.hop(self._still_wanted, reply_ids)
            except (DatabaseError, OSError):
                logger.exception("stops not read")
                continue
            for reply_id in reply_ids:
                if reply_id not in wanted:
                    self.cancel(reply_id)

    def _still_wanted(self, reply_ids: list[UUID]) -> set[UUID]:
        """Return those neither asked to stop nor deleted; renew the leases of which a third is over.

        Also of those that still wait for a thread here, so that the sweeper leaves them alone.
        """
        mine = Message.objects.filter(pk__in=reply_ids)
        now, lease = timezone.now(), timedelta(seconds=tuning.number("chat.reply_lease_seconds"))
        mine.filter(state__in=Message.UNFINISHED, lease_expires_at__lt=now + lease * 2 / 3).update(
            lease_expires_at=now + lease
        )
        return set(mine.filter(cancel_requested_at__isnull=True).values_list("pk", flat=True))

    async def drain(self, seconds: float) -> None:
        """Give running replies this long to end, then cut the rest short: they are saved as failed, to be retried."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        for reply_id in list(self._running):
            self.cancel(reply_id, failures.INTERRUPTED)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def aclose(self) -> None:
        """End what the desk runs, when no reply is left."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self.relay.aclose()
        self._preparing.close()
        self.steps.close()


_desks: WeakKeyDictionary[asyncio.AbstractEventLoop, Desk] = WeakKeyDictionary()


def desk() -> Desk:
    """Return the desk of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _desks:
        _desks[loop] = contextvars.Context().run(Desk)
    return _desks[loop]


async def close_desk(*, drain_seconds: float) -> None:
    """Drain and close the running loop's desk, if it has one."""
    closing = _desks.pop(asyncio.get_running_loop(), None)
    if closing is not None:
        await closing.drain(drain_seconds)
        await closing.aclose()


def _stage(name: str) -> Event:
    labels = {"retrieval": _("Searching your documents…"), "model": _("Writing the answer…")}
    return Event("stage", {"name": name, "label": labels[name]})


def _tell_sources(live: LiveReply, prepared: Prepared) -> None:
    if prepared.basis.places:
        live.emit(
            Event("sources", {"sources": [_source(place) for place in prepared.basis.places]})
        )


def _source(place: Place) -> dict[str, Any]:
    return {
        "number": place.number,
        "document_name": place.document_name,
        "page_number": place.page_number,
        "url": place_url(place.document_id, place.version_id, place.start_offset, place.end_offset),
        "citation": None,
    }
