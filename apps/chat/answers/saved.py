"""What earlier answers save, noted in the ledger of savings by the transaction that ends the reply.

The baseline of a question answered from before is what the answer cost when it was computed, its question's embedding
included; what it costs now is the embedding by which it was found, and nothing where the question was the same.
"""

from apps.billing import savings, services
from apps.billing.models import Mechanism, Purpose, UsageRecord
from apps.chat.models import Conversation, Message
from apps.chat.types import QUESTION_ATTEMPT, SENTENCES_ATTEMPT, KeptAnswer
from apps.llm import attempts


def note_given(
    *,
    reply: Message,
    conversation: Conversation,
    mechanism: Mechanism,
    answer: KeptAnswer,
    actual_nanos: int,
    saved_ms: float,
) -> None:
    """Note that a kept answer was given, at `actual_nanos`."""
    [step] = savings.attribute(
        baseline_nanos=answer.amount_nanos, steps=[(mechanism, actual_nanos)]
    )
    _note(reply, conversation, step, saved_ms=max(round(saved_ms), 0))


def note_checked(*, reply: Message, usage: list[UsageRecord], candidate: KeptAnswer) -> None:
    """Note that an answer could have been given and was computed all the same, to check.

    The hit saved what the kept answer cost, the check cost what computing really did: the two side by side are what the
    savings claimed are audited by. The embedding would have been paid for the hit, too.
    """
    embedding = sum(
        record.amount_nanos
        for record in usage
        if QUESTION_ATTEMPT <= attempts.number(record.attempt) < SENTENCES_ATTEMPT
    )
    step = savings.Attributed(
        Mechanism.SEMANTIC_CACHE,
        saved_nanos=max(candidate.amount_nanos - embedding, 0),
        overhead_nanos=sum(record.amount_nanos for record in usage) - embedding,
    )
    _note(reply, reply.conversation, step)


def note_in_vain(*, reply: Message, usage: list[UsageRecord]) -> None:
    """Note a search that a budget let through for an earlier answer's sake, and that found none it could give.

    Without the cache the question would have been refused at once: its baseline is 0.
    """
    cost = sum(record.amount_nanos for record in usage if record.purpose == Purpose.QUERY_EMBEDDING)
    if cost:
        step = savings.Attributed(Mechanism.SEMANTIC_CACHE, saved_nanos=0, overhead_nanos=cost)
        _note(reply, reply.conversation, step)


def _note(
    reply: Message, conversation: Conversation, step: savings.Attributed, *, saved_ms: int = 0
) -> None:
    assert reply.request_id is not None  # noqa: S101 - every reply has one
    services.record_saving(
        mechanism=step.mechanism,
        request_id=reply.request_id,
        department_id=conversation.paying_department_id,
        user_id=conversation.user_id,
        saved_nanos=step.saved_nanos,
        overhead_nanos=step.overhead_nanos,
        saved_ms=saved_ms,
    )
