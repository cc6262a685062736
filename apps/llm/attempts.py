"""The numbers of a request's provider calls: (request, attempt) names each, so no two of a request may share one.

Whoever makes a request numbers its calls below `SECOND_TRY`, the batches of texts to embed on from their first; chat's
numbers are in chat's `types`, an ingestion's are those of its attempts. The same call made again, because the provider
did not take it, has its number plus `SECOND_TRY`.
"""

from dataclasses import replace
from typing import Final

from apps.billing.types import CallContext

SECOND_TRY: Final = 10_000


def tries(context: CallContext) -> tuple[CallContext, CallContext]:
    """Return the contexts under which a call is made: the first, and the one if the provider did not take it.

    Raises:
        ValueError: the number is one of a second try.
    """
    if not 0 < context.attempt < SECOND_TRY:
        raise ValueError(f"attempt {context.attempt} is not between 1 and {SECOND_TRY - 1}")
    return context, replace(context, attempt=context.attempt + SECOND_TRY)


def number(attempt: int) -> int:
    """Return the number under which the caller made a call, whichever of its tries this attempt was."""
    return attempt % SECOND_TRY
