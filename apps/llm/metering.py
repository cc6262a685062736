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
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.utils.translation import gettext as _

from apps.billing import services as billing
from apps.billing.budgets.state import states
from apps.billing.errors import BudgetExceededError
from apps.billing.models import Budget, Meter, Outcome
from apps.billing.types import CallContext, Refusal, Reserved, Settled, Thrift, Usage
from apps.llm import routing, tokens
from apps.llm.errors import CallRepeatedError, ProviderError
from apps.llm.models import Route
from apps.llm.types import ChatMessage, Choice

DATABASE_THREADS = 8

T = TypeVar("T")

logger = logging.getLogger(__name__)
_threads = ThreadPoolExecutor(max_workers=DATABASE_THREADS, thread_name_prefix="llm-database")
_unfinished: set[asyncio.Task[Any]] = set()


@dataclass(slots=True)
class Call:
    """One open provider call by the model of `choice`. `counted` tells its usage for providers that report none.

    `is_sent` is set when the provider is turned to: a call that ends before is void.
    """

    reserved: Reserved
    choice: Choice
    context: CallContext
    counted: Callable[[str], Usage]
    started: float
    is_sent: bool = False

    @property
    def name(self) -> str:
        """Return what the provider is told, and can be asked about: request and attempt."""
        return f"{self.context.request_id}/{self.context.attempt}"


@dataclass(frozen=True, slots=True)
class _Most:
    """Upper bounds of what a call can use, and the meter of its input."""

    input_tokens: int
    output_tokens: int = 0
    input_meter: Meter = Meter.INPUT


def open_chat(
    *,
    choice: Choice,
    messages: Sequence[ChatMessage],
    context: CallContext,
    cap: int,
    use: Route.Use | None = None,
) -> Call:
    """Reserve a chat call of at most `cap` output tokens; where a budget asks, by the cheapest model for this use.

    Raises:
        BudgetExceededError: a budget has no room for it, by the cheapest model neither.
        CallRepeatedError: this (request, attempt) was made and ended before.
    """
    most = _Most(tokens.most_tokens(messages), cap)
    counted = partial(_counted_chat, messages)
    try:
        return _open(choice, context, most, counted, Thrift.NONE)
    except BudgetExceededError as error:
        if use is None or not _is_cheapest_asked_for(error.refusal, context):
            raise
        frugal = _frugal(choice, use, most, is_soft=error.refusal.is_soft)
        if frugal is None:
            raise
    most = replace(most, output_tokens=min(cap, frugal.max_output_tokens))
    return _open(frugal, context, most, counted, Thrift.CHEAPEST_MODEL)


def _is_cheapest_asked_for(refusal: Refusal, context: CallContext) -> bool:
    """Say whether the budget that refused, or another the call counts in, would have had the cheapest model make it."""
    if refusal.at_limit == Budget.AtLimit.CHEAPER_MODEL:
        return True
    # Which of several refuses is chance: the first in the order they are locked in.
    found = states(
        department_id=context.department_id,
        user_id=context.user_id,
        api_key_id=context.api_key_id,
    )
    return any(
        state.at_limit == Budget.AtLimit.CHEAPER_MODEL
        and state.soft_limit_nanos is not None
        and state.spent_nanos + state.reserved_nanos + refusal.max_nanos > state.soft_limit_nanos
        for state in found
    )


def _frugal(choice: Choice, use: Route.Use, most: _Most, *, is_soft: bool) -> Choice | None:
    """Return the cheapest model that can take the call, with the reason; None where none could be let pass."""
    cheapest = routing.cheapest(
        use,
        chosen=choice,
        max_input_tokens=most.input_tokens,
        max_output_tokens=most.output_tokens,
    )
    if cheapest is choice and not is_soft:
        return None
    return replace(cheapest, reason=_("Cheapest model: the budget is nearly used up"))


def open_embedding(
    *, choice: Choice, texts: Sequence[str], context: CallContext, thrift: Thrift
) -> Call:
    """Reserve an embedding call.

    Raises:
        BudgetExceededError: a budget has no room for it.
        CallRepeatedError: this (request, attempt) was made and ended before.
    """
    most = _Most(tokens.most_embedding_tokens(texts), input_meter=Meter.EMBEDDING)
    return _open(choice, context, most, partial(_counted_embedding, texts), thrift)


def _open(
    choice: Choice,
    context: CallContext,
    most: _Most,
    counted: Callable[[str], Usage],
    thrift: Thrift,
) -> Call:
    reserved = billing.reserve(
        context=context,
        provider_code=choice.provider_code,
        model_code=choice.model_code,
        max_input_tokens=most.input_tokens,
        max_output_tokens=most.output_tokens,
        input_meter=most.input_meter,
        thrift=thrift,
    )
    if reserved.is_settled:
        raise CallRepeatedError(f"{context.request_id}/{context.attempt}")
    # No connection is kept while the provider works; inside a test's transaction this does nothing.
    close_old_connections()
    return Call(reserved, choice, context, counted, time.perf_counter())


def _counted_chat(messages: Sequence[ChatMessage], received: str) -> Usage:
    return Usage(
        input_tokens=tokens.count_prompt_tokens(messages),
        output_tokens=tokens.count_tokens(received),
        is_estimated=True,
    )


def _counted_embedding(texts: Sequence[str], _received: str) -> Usage:
    return Usage(embedding_tokens=tokens.count_embedding_input(texts), is_estimated=True)


def settle_answer(call: Call, *, usage: Usage | None, received: Sequence[str] = ()) -> Settled:
    """Settle a call that went well with the provider's usage; without one, with what was counted here."""
    return _settle(call, Outcome.COMPLETED, usage, received)


def _settle(call: Call, outcome: Outcome, usage: Usage | None, received: Sequence[str]) -> Settled:
    elapsed_ms = round((time.perf_counter() - call.started) * 1000)
    return billing.settle(
        reservation_id=call.reserved.reservation_id,
        outcome=outcome,
        usage=call.counted("".join(received)) if usage is None else usage,
        elapsed_ms=elapsed_ms,
    )


def end_failed(call: Call, error: BaseException, *, received: Sequence[str] = ()) -> None:
    """End a call that ended by an exception: void if it was never sent, of no cost if refused, else as counted."""
    failure = error if isinstance(error, ProviderError) else None
    if not call.is_sent or (failure is not None and not failure.is_sent):
        billing.void(reservation_id=call.reserved.reservation_id)
        return
    outcome = Outcome.FAILED if isinstance(error, Exception) else Outcome.CANCELLED
    is_unused = failure is not None and not failure.is_used and not received
    _settle(call, outcome, Usage() if is_unused else None, received)


async def in_thread(work: Callable[[], T]) -> T:
    """Do database work in a thread and return its connection to the pool."""
    return await sync_to_async(
        _with_connection_returned, thread_sensitive=False, executor=_threads
    )(work)


async def shielded(work: Callable[[], T]) -> T:
    """Do database work in a thread, to its end even if the caller is cancelled meanwhile."""
    return await asyncio.shield(_remembered(asyncio.create_task(in_thread(work))))


async def opened(work: Callable[[], Call]) -> Call:
    """Open a call in a thread; if the caller is cancelled meanwhile, it is void."""
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
        await in_thread(partial(billing.void, reservation_id=call.reserved.reservation_id))


def _remembered(task: asyncio.Task[T]) -> asyncio.Task[T]:
    """Hold the task, which the loop alone would let the collector take, and log its failure."""
    _unfinished.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[Any]) -> None:
    _unfinished.discard(task)
    error = None if task.cancelled() else task.exception()
    # A refusal is told to whoever asked, and so is a repeat.
    if error is not None and not isinstance(error, (BudgetExceededError, CallRepeatedError)):
        logger.error("billing of a provider call failed", exc_info=error)


def _with_connection_returned(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        close_old_connections()
