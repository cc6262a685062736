"""Values that cross billing's border."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.billing.models import Outcome, Purpose


@dataclass(frozen=True, slots=True)
class CallContext:
    """For whom and what a provider call is made: it names the call everywhere.

    A request that makes several calls (a question's embedding, then its answer) numbers them by `attempt`.
    """

    request_id: UUID
    department_id: UUID
    purpose: Purpose
    user_id: UUID | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, each meter apart; `input_tokens` are the fresh ones only.

    `is_estimated` says that the provider reported none and they were counted here.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    is_estimated: bool = False


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
