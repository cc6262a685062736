"""What can go wrong with a model call; every kind says what the caller may do next."""


class LLMError(Exception):
    """Base of what can go wrong with models."""


class NoModelError(LLMError):
    """No route for this use leads to a model that is on."""


class CallRepeatedError(LLMError):
    """This (request, attempt) was called and paid before; another call needs an attempt number of its own."""


class ProviderError(LLMError):
    """The provider did not answer as asked.

    `is_used` says whether it may have worked, and so charged, before it failed; `is_sent` whether the request left.
    """

    code = "provider_failed"

    def __init__(self, message: str, *, is_used: bool = False, is_sent: bool = True) -> None:
        super().__init__(message)
        self.is_used = is_used
        self.is_sent = is_sent


class RetryableError(ProviderError):
    """It may go well next time: unreachable, timed out, broken off, or failing inside."""

    code = "provider_unavailable"


class UndeliveredError(RetryableError):
    """The provider did not take the request: it refused the connection, or had just closed the idle one it went out on.

    The same call may be made again at once.
    """


class OverloadedError(RetryableError):
    """Too many requests; `retry_after_seconds` is when the provider asks to be asked again, if it says."""

    code = "provider_overloaded"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PermanentError(ProviderError):
    """It will go wrong again: refused, unknown model, wrong key."""

    code = "provider_refused"


class ContextTooLongError(PermanentError):
    """The messages are more than the model can read."""

    code = "context_too_long"
