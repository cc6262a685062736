"""The receipt of a reply, read from the usage records of its provider calls so that the two cannot differ."""

from datetime import timedelta
from typing import Any

from apps.billing.models import Purpose, UsageRecord
from apps.chat.models import Message
from apps.chat.types import ANSWER_ATTEMPT, Basis, Outcome

# The web's clock stamps the reply, the database's the usage record.
CLOCKS_APART = timedelta(hours=1)


def usage_of(reply: Message) -> list[UsageRecord]:
    """Return the usage records of a reply's calls, by attempt."""
    # The time keeps the search to a partition or two, and the department to its index.
    return list(
        UsageRecord.objects.filter(
            department_id=reply.conversation.paying_department_id,
            created_at__gte=reply.created_at - CLOCKS_APART,
            request_id__in=[reply.request_id],
        ).order_by("attempt")
    )


def make_receipt(*, usage: list[UsageRecord], basis: Basis, outcome: Outcome) -> dict[str, Any]:
    """Return the receipt as it is kept with the message; amounts are nanos, times milliseconds."""
    answer = next((record for record in usage if record.attempt == ANSWER_ATTEMPT), None)
    retrieval = sum(
        record.amount_nanos for record in usage if record.purpose == Purpose.QUERY_EMBEDDING
    )
    return {
        "model_name": basis.model_name,
        "provider_name": basis.provider_name,
        "reason": basis.reason,
        "usage_record_id": str(answer.pk) if answer else "",
        "outcome": answer.outcome if answer else "",
        "input_tokens": answer.input_tokens if answer else 0,
        "cached_input_tokens": answer.cached_input_tokens if answer else 0,
        "output_tokens": answer.output_tokens if answer else 0,
        "amount_nanos": answer.amount_nanos if answer else 0,
        "retrieval_nanos": retrieval,
        "total_nanos": sum(record.amount_nanos for record in usage),
        "cache_layer": "none",
        "source_count": len(basis.places),
        "finish_reason": outcome.finish_reason,
        "stages": outcome.stages_ms or {},
        "first_token_ms": outcome.first_token_ms,
        "total_ms": outcome.total_ms,
    }
