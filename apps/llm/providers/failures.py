"""Which kind of error an OpenAI-compatible endpoint's failure is."""

import re
from contextlib import suppress
from email.utils import parsedate_to_datetime

import httpx2
import openai
from django.utils import timezone

from apps.llm.errors import (
    ContextTooLongError,
    OverloadedError,
    PermanentError,
    ProviderError,
    RetryableError,
    UndeliveredError,
)
from apps.llm.providers.delivery import met_a_closed_connection

OVERLOADED_STATUSES = frozenset({429, 503, 529})
RETRYABLE_STATUSES = frozenset({408, 409, 425})
CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
# For endpoints that give no code of their own: vLLM, Ollama, gateways.
CONTEXT_WORDS = re.compile(
    r"(maximum|available) context|context (length|window|size)|prompt is too long", re.IGNORECASE
)
# OpenAI answers 429 for this too, but waiting does not help.
OUT_OF_MONEY = "insufficient_quota"
MESSAGE_LIMIT = 500


def as_provider_error(error: Exception, *, is_streaming: bool) -> ProviderError:
    """Return the error kind of what the SDK or its HTTP client raised; `is_streaming`: the answer had begun."""
    message = str(error)[:MESSAGE_LIMIT] or type(error).__name__
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, message)
    cause = error.__cause__ or error
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        is_sent = not isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        return RetryableError(message, is_used=is_sent, is_sent=is_sent)
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        if isinstance(cause, httpx2.ConnectError):
            return UndeliveredError(message, is_sent=False)
        if met_a_closed_connection(cause):
            return UndeliveredError(message)
        return RetryableError(message, is_used=True)
    if isinstance(error, openai.APIError):
        return _of_body(error, message, is_used=is_streaming)
    return PermanentError(message, is_used=is_streaming)


def _of_status(error: openai.APIStatusError, message: str) -> ProviderError:
    if error.code == OUT_OF_MONEY:
        return PermanentError(message)
    if error.status_code in OVERLOADED_STATUSES:
        wait = _retry_after_seconds(error.response.headers.get("retry-after"))
        return OverloadedError(message, retry_after_seconds=wait)
    if (
        error.status_code in RETRYABLE_STATUSES
        or error.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR
    ):
        return RetryableError(message)
    return _of_body(error, message, is_used=False)


def _of_body(error: openai.APIError, message: str, *, is_used: bool) -> ProviderError:
    """Tell the kind from the error object; in a stream it is all there is."""
    if {error.code, error.type} & CONTEXT_CODES or CONTEXT_WORDS.search(message):
        return ContextTooLongError(message)
    if is_used:
        return RetryableError(message, is_used=True)
    return PermanentError(message)


def _retry_after_seconds(value: str | None) -> float | None:
    """Return the wait of a Retry-After header, given in seconds or as a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(value) - timezone.now()).total_seconds())
    return None
