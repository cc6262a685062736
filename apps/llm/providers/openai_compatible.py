"""The adapter for OpenAI-compatible endpoints: chat streamed and whole, embeddings, usage, error kinds.

It makes one HTTP request a call and retries nothing. It knows no database and no money.
The SDK takes most of a second to import, so this module is imported by `apps.llm.services` on first use only.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx2
import openai
from openai.types import CompletionUsage

from apps.billing.types import Usage
from apps.llm.errors import PermanentError, ProviderError, RetryableError
from apps.llm.providers.delivery import follow
from apps.llm.providers.failures import as_provider_error
from apps.llm.types import ChatMessage, Choice
from apps.llm.validators import is_private_host

# OpenAI's newer models refuse `max_tokens`, others know nothing else.
NEW_CAP_HOSTS = ("api.openai.com", ".openai.azure.com")
# A changed address or key makes a new client; old ones beyond this many are let go.
MAX_CLIENTS_PER_LOOP = 16
# More than any model reads or writes in a call.
MOST_TOKENS = 10**9

ClientKey = tuple[str, str, float, float]

# HTTP connections belong to the event loop that opened them.
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ClientKey, openai.AsyncOpenAI]]
_clients = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer: text, and at its end why it ended and what the provider counted."""

    text: str = ""
    finish_reason: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors in the texts' order, as the provider gave them."""

    vectors: Sequence[Sequence[float]]
    usage: Usage | None


async def stream_chat(
    choice: Choice,
    messages: Sequence[ChatMessage],
    *,
    call_name: str,
    max_output_tokens: int,
    temperature: float | None,
) -> AsyncGenerator[Chunk, None]:
    """Ask for an answer and yield it as it comes; closing the iterator closes the connection at once.

    Raises:
        ProviderError: of the kind the caller can act on.
    """
    request = _chat_request(choice, messages, max_output_tokens, temperature)
    with _as_provider_errors(is_streaming=False):
        stream = await _client(choice).chat.completions.create(
            **request,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=_headers(call_name),
        )
    finish_reason, usage = "", None
    async with stream:
        with _as_provider_errors(is_streaming=True):
            async for event in stream:
                usage = _usage(event.usage) or usage
                for option in event.choices:
                    finish_reason = option.finish_reason or finish_reason
                    if option.delta and option.delta.content:
                        yield Chunk(text=option.delta.content)
    if not finish_reason:
        raise RetryableError("The stream broke off before the answer's end.", is_used=True)
    yield Chunk(finish_reason=finish_reason, usage=usage)


async def complete_chat(
    choice: Choice,
    messages: Sequence[ChatMessage],
    *,
    call_name: str,
    max_output_tokens: int,
    temperature: float | None,
) -> Chunk:
    """Ask for an answer and return it whole.

    Raises:
        ProviderError: of the kind the caller can act on.
    """
    request = _chat_request(choice, messages, max_output_tokens, temperature)
    with _as_provider_errors(is_streaming=False):
        answer = await _client(choice).chat.completions.create(
            **request, extra_headers=_headers(call_name)
        )
    if not answer.choices:
        raise PermanentError("The provider's answer holds no choice.", is_used=True)
    option = answer.choices[0]
    return Chunk(
        text=option.message.content or "",
        finish_reason=option.finish_reason or "stop",
        usage=_usage(answer.usage),
    )


async def embed(choice: Choice, texts: Sequence[str], *, call_name: str) -> Vectors:
    """Return one vector for each text.

    Raises:
        ProviderError: of the kind the caller can act on.
    """
    with _as_provider_errors(is_streaming=False):
        answer = await _client(choice).embeddings.create(
            model=choice.model_code, input=list(texts), extra_headers=_headers(call_name)
        )
    # Not every endpoint gives them in the order asked.
    entries = sorted(answer.data, key=lambda entry: entry.index)
    if [entry.index for entry in entries] != list(range(len(texts))):
        raise PermanentError("The provider returned other vectors than asked for.", is_used=True)
    counted = answer.usage.prompt_tokens if answer.usage else None
    usage = Usage(embedding_tokens=counted) if counted is not None and _is_count(counted) else None
    return Vectors(vectors=[entry.embedding for entry in entries], usage=usage)


async def close_clients() -> None:
    """Close the running event loop's connections."""
    for client in _clients.pop(asyncio.get_running_loop(), {}).values():
        await client.close()


def _client(choice: Choice) -> openai.AsyncOpenAI:
    """Return the running loop's client for this address, key and timeouts: its connections are kept alive."""
    key = (
        choice.base_url,
        choice.secret,
        choice.connect_timeout_seconds,
        choice.read_timeout_seconds,
    )
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if key not in clients:
        if len(clients) >= MAX_CLIENTS_PER_LOOP:
            del clients[next(iter(clients))]
        clients[key] = _make_client(choice)
    return clients[key]


def _make_client(choice: Choice) -> openai.AsyncOpenAI:
    timeout = httpx2.Timeout(choice.read_timeout_seconds, connect=choice.connect_timeout_seconds)
    return openai.AsyncOpenAI(
        base_url=choice.base_url,
        # The SDK insists on a key; endpoints without one ignore it.
        api_key=choice.secret or "none",
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=timeout,
            # A redirect could carry the prompt, or the key, to another host.
            follow_redirects=False,
            # The environment's proxy leads out of the private network.
            trust_env=not is_private_host(urlsplit(choice.base_url).hostname or ""),
            event_hooks={"request": [follow]},
        ),
    )


def _chat_request(
    choice: Choice,
    messages: Sequence[ChatMessage],
    max_output_tokens: int,
    temperature: float | None,
) -> dict[str, Any]:
    host = urlsplit(choice.base_url).hostname or ""
    cap = "max_completion_tokens" if host.endswith(NEW_CAP_HOSTS) else "max_tokens"
    return {
        "model": choice.model_code,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        cap: max_output_tokens,
        "temperature": openai.omit if temperature is None else temperature,
    }


def _headers(call_name: str) -> dict[str, str]:
    return {"X-Request-ID": call_name}


def _usage(usage: CompletionUsage | None) -> Usage | None:
    """Return what the provider counted, its totals taken apart into our meters; None where that can't be so."""
    if usage is None or not (_is_count(usage.prompt_tokens) and _is_count(usage.completion_tokens)):
        return None
    details = usage.prompt_tokens_details
    cached = min(_count_or_0(details, "cached_tokens"), usage.prompt_tokens)
    # Not in OpenAI's shape; gateways to providers that charge for writing their cache add it.
    written = min(_count_or_0(details, "cache_write_tokens"), usage.prompt_tokens - cached)
    return Usage(
        input_tokens=usage.prompt_tokens - cached - written,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=usage.completion_tokens,
    )


def _is_count(value: object) -> bool:
    # The SDK hands on whatever came: null, negative, or more than any model reads in a call.
    return isinstance(value, int) and 0 <= value <= MOST_TOKENS


def _count_or_0(details: object, name: str) -> int:
    value = getattr(details, name, None)
    return value if isinstance(value, int) and _is_count(value) else 0


@contextmanager
def _as_provider_errors(*, is_streaming: bool) -> Iterator[None]:
    try:
        yield
    except ProviderError:
        raise
    except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:
        raise as_provider_error(error, is_streaming=is_streaming) from error
