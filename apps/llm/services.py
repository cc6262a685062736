"""The one door to every model call: it chooses, reserves, calls and settles.

The provider adapter is imported on first use: its SDK takes 0.8 s, which commands that call no model do not pay.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from apps.billing.types import CallContext, Settled, Thrift
from apps.llm import attempts, background, metering, tokens
from apps.llm.errors import PermanentError, UndeliveredError
from apps.llm.metering import Call
from apps.llm.models import Route
from apps.llm.routing import as_choice as as_choice
from apps.llm.routing import choose as choose
from apps.llm.types import (
    ChatMessage,
    Choice,
    Completion,
    Embeddings,
    Finished,
    Instead,
    Token,
)

T = TypeVar("T")

logger = logging.getLogger(__name__)

EMBEDDING_BATCH_SIZE = 64


async def stream(
    *,
    choice: Choice,
    messages: Sequence[ChatMessage],
    context: CallContext,
    max_output_tokens: int | None = None,
    temperature: float | None = None,
    use: Route.Use | None = None,
) -> AsyncGenerator[Token | Instead | Finished, None]:
    """Ask for an answer: yield its tokens, then one Finished. Closing it, or cancelling, stops the provider at once.

    The call is reserved before and settled after, in every outcome; a stopped one with what was counted here. Where a
    budget asks for it, the cheapest model routed for `use` answers, and an Instead comes first. A call the provider did
    not take is made once more, under a number of its own. No database connection is held meanwhile.

    Raises:
        ProviderError: of the kind the caller can act on; what was streamed before stands.
        BudgetExceededError: a budget has no room for it; nothing was asked.
        CallRepeatedError: the context's (request, attempt) was called before.
    """
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    cap = _cap(choice, max_output_tokens)
    opening = partial(metering.open_chat, choice=choice, messages=messages, cap=cap, use=use)
    for own in attempts.tries(context):
        call = await metering.opened(partial(opening, context=own))
        received: list[str] = []
        ending = adapter.Chunk()
        try:
            if call.choice is not choice:
                yield Instead(call.choice)
            call.is_sent = True
            chunks = adapter.stream_chat(
                call.choice,
                messages,
                call_name=call.name,
                max_output_tokens=_cap(call.choice, cap),
                temperature=temperature,
            )
            async with aclosing(chunks):
                async for chunk in chunks:
                    if chunk.finish_reason:
                        ending = chunk
                    else:
                        received.append(chunk.text)
                        yield Token(chunk.text)
        except BaseException as error:
            await metering.shielded(partial(metering.end_failed, call, error, received=received))
            if not _is_tried_again(error, own):
                raise
            continue
        settled = await metering.shielded(
            partial(metering.settle_answer, call, usage=ending.usage, received=received)
        )
        yield Finished(ending.finish_reason, settled)
        return


async def acomplete(
    *,
    choice: Choice,
    messages: Sequence[ChatMessage],
    context: CallContext,
    max_output_tokens: int | None = None,
    temperature: float | None = None,
) -> Completion:
    """Ask for a whole answer; cancelling stops the provider at once.

    Raises:
        ProviderError, BudgetExceededError, CallRepeatedError: as `stream` does.
    """
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    cap = _cap(choice, max_output_tokens)
    opening = partial(metering.open_chat, choice=choice, messages=messages, cap=cap)

    async def made(own: CallContext) -> Completion:
        call = await metering.opened(partial(opening, context=own))
        call.is_sent = True
        try:
            answer = await adapter.complete_chat(
                choice,
                messages,
                call_name=call.name,
                max_output_tokens=cap,
                temperature=temperature,
            )
        except BaseException as error:
            await metering.shielded(partial(metering.end_failed, call, error))
            raise
        settled = await metering.shielded(
            partial(metering.settle_answer, call, usage=answer.usage, received=[answer.text])
        )
        return Completion(answer.text, answer.finish_reason, settled)

    first, second = attempts.tries(context)
    try:
        return await made(first)
    except UndeliveredError as error:
        _note_second_try(error)
    return await made(second)


def complete(
    *,
    choice: Choice,
    messages: Sequence[ChatMessage],
    context: CallContext,
    max_output_tokens: int | None = None,
    temperature: float | None = None,
) -> Completion:
    """Ask for a whole answer from sync code; never inside a transaction.

    Raises:
        ProviderError, BudgetExceededError, CallRepeatedError: as `stream` does.
    """
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    cap = _cap(choice, max_output_tokens)

    def made(own: CallContext) -> Completion:
        call = metering.open_chat(choice=choice, messages=messages, cap=cap, context=own)
        with _ended_if_it_fails(call):
            answer = background.run(
                adapter.complete_chat(
                    choice,
                    messages,
                    call_name=call.name,
                    max_output_tokens=cap,
                    temperature=temperature,
                )
            )
        settled = metering.settle_answer(call, usage=answer.usage, received=[answer.text])
        return Completion(answer.text, answer.finish_reason, settled)

    return _tried(made, context)


def embed(
    *,
    texts: Sequence[str],
    context: CallContext,
    choice: Choice | None = None,
    thrift: Thrift = Thrift.CHEAPEST_MODEL,
) -> Embeddings:
    """Embed texts from sync code, in batches; never inside a transaction. None of the texts may be empty.

    Each batch is a provider call of its own, settled by itself, under the attempt numbers from `context.attempt` on.
    By default it counts as the cheapest model's: vectors of one model compare with no other's.

    Raises:
        ProviderError: of the kind the caller can act on; batches before it are paid for.
        NoModelError, BudgetExceededError, CallRepeatedError: as `choose` and `stream` do.
    """
    chosen = choice or choose(Route.Use.EMBEDDING)
    results = [
        _tried(
            partial(_embed_batch, batch, chosen, thrift),
            replace(context, attempt=context.attempt + index),
        )
        for index, batch in enumerate(_batches(texts, EMBEDDING_BATCH_SIZE))
    ]
    empty = np.zeros((0, chosen.dimensions or 0), dtype=np.float32)
    return Embeddings(
        vectors=np.concatenate([empty, *(vectors for vectors, _settled in results)]),
        settled=[settled for _vectors, settled in results],
    )


async def aembed(
    *, texts: Sequence[str], context: CallContext, choice: Choice | None = None
) -> Embeddings:
    """Embed texts as `embed` does, in a thread of its own; a call once begun ends and is paid."""
    return await metering.in_thread(partial(embed, texts=texts, context=context, choice=choice))


def _embed_batch(
    texts: Sequence[str], choice: Choice, thrift: Thrift, context: CallContext
) -> tuple[NDArray[np.float32], Settled]:
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    call = metering.open_embedding(choice=choice, texts=texts, context=context, thrift=thrift)
    with _ended_if_it_fails(call):
        answer = background.run(adapter.embed(choice, texts, call_name=call.name))
    settled = metering.settle_answer(call, usage=answer.usage)
    vectors = np.asarray(answer.vectors, dtype=np.float32)
    if vectors.shape != (len(texts), choice.dimensions):
        raise PermanentError(
            f"{choice.model_code} gave vectors of shape {vectors.shape}, not {choice.dimensions} long"
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny), settled


def _tried(made: Callable[[CallContext], T], context: CallContext) -> T:
    """Make a call, once more if the provider did not take it."""
    first, second = attempts.tries(context)
    try:
        return made(first)
    except UndeliveredError as error:
        _note_second_try(error)
    return made(second)


def _is_tried_again(error: BaseException, context: CallContext) -> bool:
    if not isinstance(error, UndeliveredError) or context.attempt > attempts.SECOND_TRY:
        return False
    _note_second_try(error)
    return True


def _note_second_try(error: UndeliveredError) -> None:
    logger.info("a call is made again", extra={"error": repr(error)})


@contextmanager
def _ended_if_it_fails(call: Call) -> Iterator[None]:
    call.is_sent = True
    try:
        yield
    except BaseException as error:
        metering.end_failed(call, error)
        raise


def _cap(choice: Choice, asked: int | None) -> int:
    return min(asked or choice.max_output_tokens, choice.max_output_tokens)


def _batches(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, size)):
        yield batch


def warm() -> None:
    """Load what the first call would wait for: the SDK, the tokenizers (0.9 s together); call it at start-up."""
    from apps.llm.providers import openai_compatible  # noqa: F401, PLC0415 - slow to import

    tokens.count_tokens("warm")
    tokens.count_embedding_tokens("warm")


async def close() -> None:
    """Write what is left to settle and close the running loop's connections; call it at shutdown."""
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    await metering.drain()
    await adapter.close_clients()
