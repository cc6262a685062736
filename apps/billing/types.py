"""Values that cross billing's border."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from apps.billing.models import Budget, Meter, Outcome, Purpose


class Thrift(IntEnum):
    """How sparing a call is, for budgets that let only sparing ones pass beyond their soft limit."""

    NONE = 0
    CHEAPEST_MODEL = 1
    # The question's embedding, by which an earlier answer is found.
    SEARCH = 2


@dataclass(frozen=True, slots=True)
class CallContext:
    """For whom and what a provider call is made: it names the call everywhere.

    A request that makes several calls (a question's embedding, then its answer) numbers them by `attempt`.
    `product` is what was used: chat, documents, admin, or a product key's code.
    """

    request_id: UUID
    department_id: UUID
    purpose: Purpose
    user_id: UUID | None = None
    attempt: int = 1
    product: str = "chat"
    api_key_id: UUID | None = None
    conversation_id: UUID | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, each meter apart: tokens, and milliseconds of audio. `input_tokens` are the fresh ones only.

    `is_estimated` says that the provider reported none and they were counted here.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    embedding_tokens: int = 0
    batch_input_tokens: int = 0
    batch_output_tokens: int = 0
    audio_ms: int = 0
    is_estimated: bool = False


# Where a usage and its record keep what each meter counts.
COUNTED_IN = {
    Meter.INPUT: "input_tokens",
    Meter.CACHE_READ: "cached_input_tokens",
    Meter.CACHE_WRITE: "cache_write_tokens",
    Meter.OUTPUT: "output_tokens",
    Meter.EMBEDDING: "embedding_tokens",
    Meter.BATCH_INPUT: "batch_input_tokens",
    Meter.BATCH_OUTPUT: "batch_output_tokens",
    Meter.AUDIO: "audio_ms",
}


@dataclass(frozen=True, slots=True)
class Reserved:
    """An opened call. `is_settled`: the same (request, attempt) ran to its end before."""

    reservation_id: UUID
    created_at: datetime
    max_nanos: int
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled call: its usage record's key figures."""

    usage_record_id: UUID
    created_at: datetime
    request_id: UUID
    attempt: int
    provider_code: str
    model_code: str
    outcome: Outcome
    usage: Usage
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a budget refused a call: at that moment spent + reserved + max was above the limit.

    `is_soft`: it was the soft limit, beyond which the budget lets only what `at_limit` says pass. `subject` is
    department, person, key or everybody. `refills_at` None: it never refills by itself.
    """

    budget_id: UUID
    subject: str
    period: Budget.Period
    at_limit: Budget.AtLimit
    is_soft: bool
    limit_nanos: int
    spent_nanos: int
    reserved_nanos: int
    max_nanos: int
    refills_at: datetime | None
