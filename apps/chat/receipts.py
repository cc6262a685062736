"""The receipt of a reply, read from the usage records of its provider calls so that the two cannot differ."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from apps.billing.budgets.wording import refusal_text
from apps.billing.models import Budget, Purpose, UsageRecord
from apps.billing.types import Refusal
from apps.chat.models import Message
from apps.chat.types import Basis, Outcome

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


def answer_of(usage: Iterable[UsageRecord]) -> UsageRecord | None:
    """Return the record of the call that gave the answer: the last, where the provider did not take the first."""
    answers = [record for record in usage if record.purpose == Purpose.ANSWER]
    return answers[-1] if answers else None


def make_receipt(*, usage: list[UsageRecord], basis: Basis, outcome: Outcome) -> dict[str, Any]:
    """Return the receipt as it is kept with the message; amounts are nanos, times milliseconds."""
    answer = answer_of(usage)
    searches = [record for record in usage if record.purpose == Purpose.QUERY_EMBEDDING]
    total = sum(record.amount_nanos for record in usage)
    retrieval = sum(record.amount_nanos for record in searches)
    refused = {"refusal": outcome.refusal} if outcome.refusal else {}
    return refused | {
        "model_name": basis.model_name,
        "provider_name": basis.provider_name,
        "reason": basis.reason,
        "usage_record_id": str(answer.pk) if answer else "",
        "outcome": answer.outcome if answer else "",
        "input_tokens": answer.input_tokens if answer else 0,
        "cached_input_tokens": answer.cached_input_tokens if answer else 0,
        "output_tokens": answer.output_tokens if answer else 0,
        "embedding_tokens": sum(record.embedding_tokens for record in searches),
        "amount_nanos": total - retrieval,
        "retrieval_nanos": retrieval,
        "total_nanos": total,
        "cache_layer": "none",
        "source_count": len(basis.places),
        "finish_reason": outcome.finish_reason,
        "stages": outcome.stages_ms or {},
        "first_token_ms": outcome.first_token_ms,
        "total_ms": outcome.total_ms,
    }


def refused_by(refusal: Refusal) -> dict[str, Any]:
    """Return what a budget's refusal leaves on a receipt: its words, in the person's language, and the ways on."""
    refills_at = refusal.refills_at
    return {
        "text": refusal_text(refusal),
        "budget_id": str(refusal.budget_id),
        "refills_at": refills_at.isoformat() if refills_at else None,
        "lets_search": refusal.is_soft and refusal.at_limit == Budget.AtLimit.CACHED_ONLY,
    }
