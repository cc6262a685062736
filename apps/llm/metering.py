"""The money side of a provider call: opened before it, settled once after it, whatever became of it.

The async twins do their database work in threads of their own and give the connection back, so none is held while
an answer streams; what they began is finished even when the caller is cancelled.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from apps.billing import services as billing
from apps.billing.models import Outcome
from apps.billing.types import CallContext, Reserved, Settled, Usage
from apps.llm import tokens
from apps.llm.errors import CallRepeatedError, ProviderError
from apps.llm.types import ChatMessage, Choice

DATABASE_THREADS = 8

T = TypeVar("T")

logger = logging.getLogger(__name__)
_threads = ThreadPoolExecutor(max_workers=DATABASE_THREADS, thread_name_prefix="llm-database")
_unfinished: set[asyncio.Task[Any]] = set()


@dataclass(slots=True)
class Call:
    """One open provider call. `prompt_tokens` counts its input, for providers that report nothing."""

    reserved: Reserved
    context: CallContext
    count_prompt_tokens: Callable[[], int]
    started: float

    @property
    def name(self) -> str:
        """Return what the provider is told, and can be asked about: request and attempt."""
        return f"{self.context.request_id}/{self.context.attempt}"


def open_chat(
    *, choice: Choice, messages: Sequence[ChatMessage], context: CallContext, max_output_tokens: int
) -> Call:
    """Reserve a chat call.

    Raises:
        CallRepeatedError: this (request, attempt) was made and settled before.
    """
    return _open(
        choice=choice,
        context=context,
        max_input_tokens=tokens.most_tokens(messages),
        max_output_tokens=max_output_tokens,
        count_prompt_tokens=partial(tokens.count_prompt_tokens, messages),
    )


def open_embedding(*, choice: Choice, texts: Sequence[str], context: CallContext) -> Call:
    """Reserve an embedding call.

    Raises:
        CallRepeatedError: this (request, attempt) was made and settled before.
    """
    return _open(
        choice=choice,
        context=context,
        max_input_tokens=tokens.most_embedding_tokens(texts),
        max_output_tokens=0,
        count_prompt_tokens=partial(tokens.count_embedding_input, texts),
    )


def _open(
    *,
    choice: Choice,
    context: CallContext,
    max_input_tokens: int,
    max_output_tokens: int,
    count_prompt_tokens: Callable[[], int],
) -> Call:
    reserved = billing.reserve(
        context=context,
        provider_code=choice.provider_code,
        model_code=choice.model_code,
        max_input_tokens=max_input_tokens,
        max_output_tokens=max_output_tokens,
    )
    if reserved.is_settled:
        raise CallRepeatedError(f"{context.request_id}/{context.attempt}")
    # No connection is kept while the provider works; inside a test's transaction this does nothing.
    close_old_connections()
    return Call(reserved, context, count_prompt_tokens, time.perf_counter())


def settle(
    call: Call, *, outcome: Outcome, usage: Usage | None, received: Sequence[str] = ()
) -> Settled:
    """Settle the call with the provider's usage; without one, with what was sent and received, counted here."""
    elapsed_ms = round((time.perf_counter() - call.started) * 1000)
    if usage is None:
        usage = Usage(
            input_tokens=call.count_prompt_tokens(),
            output_tokens=tokens.count_tokens("".join(received)),
            is_estimated=True,
        )
    return billing.settle(
        reservation_id=call.reserved.reservation_id,
        outcome=outcome,
        usage=usage,
        elapsed_ms=elapsed_ms,
    )


def settle_failure(call: Call, error: BaseException, *, received: Sequence[str] = ()) -> Settled:
    """Settle a call that ended by an exception: a refused one used nothing, others what was counted."""
    outcome = Outcome.FAILED if isinstance(error, Exception) else Outcome.CANCELLED
    is_unused = isinstance(error, ProviderError) and not error.is_used and not received
    return settle(call, outcome=outcome, usage=Usage() if is_unused else None, received=received)


async def in_thread(work: Callable[[], T]) -> T:
    """Do database work in a thread and return its connection to the pool."""
    return await sync_to_async(
        _with_connection_returned, thread_sensitive=False, executor=_threads
    )(work)


async def shielded(work: Callable[[], T]) -> T:
    """Do database work in a thread, to its end even if the caller is cancelled meanwhile."""
    return await asyncio.shield(_remembered(asyncio.create_task(in_thread(work))))


async def opened(work: Callable[[], Call]) -> Call:
    """Open a call in a thread; if the caller is cancelled meanwhile, settle it as unused."""
    opening = _remembered(asyncio.create_task(in_thread(work)))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        _remembered(asyncio.create_task(_abandon(opening)))
        raise


async def drain() -> None:
    """Wait until all settlements begun in the running loop are written."""
    loop = asyncio.get_running_loop()
    while pending := [task for task in _unfinished if task.get_loop() is loop]:
        await asyncio.gather(*pending, return_exceptions=True)


async def _abandon(opening: asyncio.Task[Call]) -> None:
    # A failed opening left nothing to settle, and was logged.
    with suppress(Exception):
        call = await opening
        await in_thread(partial(settle, call, outcome=Outcome.CANCELLED, usage=Usage()))


def _remembered(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold the task, which the loop alone would let the collector take, and log its failure."""
    _unfinished.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[Any]) -> None:
    _unfinished.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("billing of a provider call failed", exc_info=error)


def _with_connection_returned(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        close_old_connections()
