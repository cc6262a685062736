"""A real, paid call to a model, measured: the check that a provider is set up right."""

import time
from dataclasses import dataclass
from uuid import UUID

from apps.billing.errors import BudgetExceededError
from apps.billing.models import Purpose
from apps.billing.types import CallContext, Settled, Usage
from apps.core.ids import uuid7
from apps.llm import background, services
from apps.llm.errors import LLMError, ProviderError
from apps.llm.models import LLMModel
from apps.llm.types import ChatMessage, Choice, Finished, Token

QUESTION = "Reply with one word: ready"
MAX_OUTPUT_TOKENS = 16


@dataclass(frozen=True, slots=True)
class PingResult:
    """What a call took and cost; `error_code` is empty if it went well."""

    provider_code: str
    model_code: str
    latency_ms: float
    first_token_ms: float | None
    input_tokens: int
    output_tokens: int
    amount_nanos: int
    error_code: str
    error: str

    @property
    def is_ok(self) -> bool:
        """Say whether the model answered."""
        return not self.error_code


def ping(*, provider_code: str | None, department_id: UUID) -> list[PingResult]:
    """Call each model that is on, of one provider or of all; the department pays (network, writes usage records)."""
    services.warm()  # or the first model's latency would be ours
    llm_models = LLMModel.objects.filter(is_enabled=True, provider__is_enabled=True)
    if provider_code:
        llm_models = llm_models.filter(provider__code=provider_code)
    ordered = llm_models.select_related("provider").order_by("provider__code", "kind", "code")
    return [_ping(llm_model, department_id) for llm_model in ordered]


def _ping(llm_model: LLMModel, department_id: UUID) -> PingResult:
    choice = services.as_choice(llm_model, reason="")
    context = CallContext(
        request_id=uuid7(), department_id=department_id, purpose=Purpose.PING, product="admin"
    )
    started = time.perf_counter()
    first_token_ms: float | None = None
    settled: Settled | None = None
    error: LLMError | BudgetExceededError | None = None
    try:
        if llm_model.kind == LLMModel.Kind.EMBEDDING:
            [settled] = services.embed(texts=[QUESTION], context=context, choice=choice).settled
        else:
            first_token_ms, settled = background.run(_ask(choice, context))
    except (LLMError, BudgetExceededError) as failure:
        error = failure
    return PingResult(
        provider_code=choice.provider_code,
        model_code=choice.model_code,
        latency_ms=_ms_since(started),
        first_token_ms=first_token_ms,
        input_tokens=_input_tokens(settled.usage) if settled else 0,
        output_tokens=settled.usage.output_tokens if settled else 0,
        amount_nanos=settled.amount_nanos if settled else 0,
        error_code=_code_of(error),
        error=str(error or ""),
    )


async def _ask(choice: Choice, context: CallContext) -> tuple[float | None, Settled]:
    started = time.perf_counter()
    first_token_ms: float | None = None
    async for event in services.stream(
        choice=choice,
        messages=[ChatMessage("user", QUESTION)],
        context=context,
        max_output_tokens=MAX_OUTPUT_TOKENS,
    ):
        if isinstance(event, Token):
            first_token_ms = first_token_ms or _ms_since(started)
        elif isinstance(event, Finished):
            settled = event.settled
    return first_token_ms, settled


def _input_tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.cached_input_tokens + usage.embedding_tokens


def _code_of(error: Exception | None) -> str:
    if error is None:
        return ""
    return error.code if isinstance(error, ProviderError) else type(error).__name__


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
