"""The one door to every model call: it chooses, reserves, calls and settles.

The provider adapter is imported on first use: its SDK takes 0.8 s, which commands that call no model do not pay.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
from django.utils.translation import gettext as _
from numpy.typing import NDArray

from apps.billing.models import Outcome
from apps.billing.types import CallContext, Settled
from apps.caching import store
from apps.llm import background, metering, tokens
from apps.llm.cache import ROUTE
from apps.llm.errors import NoModelError, PermanentError
from apps.llm.metering import Call
from apps.llm.models import LLMModel, Route
from apps.llm.types import (
    ChatMessage,
    Choice,
    Completion,
    Embeddings,
    Finished,
    RoutedModel,
    Token,
)

EMBEDDING_BATCH_SIZE = 64


def choose(use: Route.Use) -> Choice:
    """Return the model that serves this use: the enabled route of the lowest priority number, from process memory.

    Raises:
        NoModelError: none is on.
    """
    routed = store.get_or_compute(ROUTE, (str(use),), partial(_routed, use))
    return replace(routed.choice, reason=_reason(use, is_first=routed.is_first))


def _routed(use: Route.Use) -> RoutedModel:
    routes = (
        Route.objects.filter(use=use).select_related("llm_model__provider").order_by("priority")
    )
    for position, route in enumerate(routes):
        if route.is_usable:
            return RoutedModel(as_choice(route.llm_model, reason=""), is_first=position == 0)
    raise NoModelError(_("No model is set up and on for: %(use)s.") % {"use": Route.Use(use).label})


def _reason(use: Route.Use, *, is_first: bool) -> str:
    # Not kept with the route: it is in the language of who asks.
    label = str(Route.Use(use).label).lower()
    if is_first:
        return _("Default route for %(use)s") % {"use": label}
    return _("Next route for %(use)s: those before it are off") % {"use": label}


def as_choice(llm_model: LLMModel, *, reason: str) -> Choice:
    """Return all that a call of this model needs."""
    provider = llm_model.provider
    return Choice(
        llm_model_id=llm_model.pk,
        provider_code=provider.code,
        provider_name=provider.name,
        base_url=provider.base_url,
        secret=provider.secret,
        connect_timeout_seconds=provider.connect_timeout_seconds,
        read_timeout_seconds=provider.read_timeout_seconds,
        model_code=llm_model.code,
        model_name=llm_model.name,
        grounding=llm_model.grounding,
        context_tokens=llm_model.context_tokens,
        max_output_tokens=llm_model.max_output_tokens,
        dimensions=llm_model.dimensions,
        reason=reason,
    )


async def stream(
    *,
    choice: Choice,
    messages: Sequence[ChatMessage],
    context: CallContext,
    max_output_tokens: int | None = None,
    temperature: float | None = None,
) -> AsyncGenerator[Token | Finished, None]:
    """Ask for an answer: yield its tokens, then one Finished. Closing it, or cancelling, stops the provider at once.

    The call is reserved before and settled after, in every outcome; a stopped one with what was counted here.
    No database connection is held meanwhile.

    Raises:
        ProviderError: of the kind the caller can act on; what was streamed before stands.
        CallRepeatedError: the context's (request, attempt) was called before.
    """
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    cap = _cap(choice, max_output_tokens)
    call = await metering.opened(
        partial(
            metering.open_chat,
            choice=choice,
            messages=messages,
            context=context,
            max_output_tokens=cap,
        )
    )
    received: list[str] = []
    ending = adapter.Chunk()
    chunks = adapter.stream_chat(
        choice, messages, call_name=call.name, max_output_tokens=cap, temperature=temperature
    )
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.finish_reason:
                    ending = chunk
                else:
                    received.append(chunk.text)
                    yield Token(chunk.text)
    except BaseException as error:
        await metering.shielded(partial(metering.settle_failure, call, error, received=received))
        raise
    settled = await metering.shielded(
        partial(
            metering.settle, call, outcome=Outcome.COMPLETED, usage=ending.usage, received=received
        )
    )
    yield Finished(ending.finish_reason, settled)


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
        ProviderError, CallRepeatedError: as `stream` does.
    """
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    cap = _cap(choice, max_output_tokens)
    call = await metering.opened(
        partial(
            metering.open_chat,
            choice=choice,
            messages=messages,
            context=context,
            max_output_tokens=cap,
        )
    )
    try:
        answer = await adapter.complete_chat(
            choice, messages, call_name=call.name, max_output_tokens=cap, temperature=temperature
        )
    except BaseException as error:
        await metering.shielded(partial(metering.settle_failure, call, error))
        raise
    settled = await metering.shielded(
        partial(
            metering.settle,
            call,
            outcome=Outcome.COMPLETED,
            usage=answer.usage,
            received=[answer.text],
        )
    )
    return Completion(answer.text, answer.finish_reason, settled)


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
        ProviderError, CallRepeatedError: as `stream` does.
    """
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    cap = _cap(choice, max_output_tokens)
    call = metering.open_chat(
        choice=choice, messages=messages, context=context, max_output_tokens=cap
    )
    with _settled_if_it_fails(call):
        answer = background.run(
            adapter.complete_chat(
                choice,
                messages,
                call_name=call.name,
                max_output_tokens=cap,
                temperature=temperature,
            )
        )
    settled = metering.settle(
        call, outcome=Outcome.COMPLETED, usage=answer.usage, received=[answer.text]
    )
    return Completion(answer.text, answer.finish_reason, settled)


def embed(
    *, texts: Sequence[str], context: CallContext, choice: Choice | None = None
) -> Embeddings:
    """Embed texts from sync code, in batches; never inside a transaction. None of the texts may be empty.

    Each batch is a provider call of its own, settled by itself, under the attempt numbers from `context.attempt` on.

    Raises:
        ProviderError: of the kind the caller can act on; batches before it are paid for.
        NoModelError, CallRepeatedError: as `choose` and `stream` do.
    """
    chosen = choice or choose(Route.Use.EMBEDDING)
    batches = _batches(texts, EMBEDDING_BATCH_SIZE)
    results = [
        _embed_batch(batch, replace(context, attempt=context.attempt + index), chosen)
        for index, batch in enumerate(batches)
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
    texts: Sequence[str], context: CallContext, choice: Choice
) -> tuple[NDArray[np.float32], Settled]:
    from apps.llm.providers import openai_compatible as adapter  # noqa: PLC0415 - slow to import

    call = metering.open_embedding(choice=choice, texts=texts, context=context)
    with _settled_if_it_fails(call):
        answer = background.run(adapter.embed(choice, texts, call_name=call.name))
    settled = metering.settle(call, outcome=Outcome.COMPLETED, usage=answer.usage)
    vectors = np.asarray(answer.vectors, dtype=np.float32)
    if vectors.shape != (len(texts), choice.dimensions):
        raise PermanentError(
            f"{choice.model_code} gave vectors of shape {vectors.shape}, not {choice.dimensions} long"
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny), settled


@contextmanager
def _settled_if_it_fails(call: Call) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        metering.settle_failure(call, error)
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
