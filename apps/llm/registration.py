"""Makes the embedded models ordinary providers; what an operator changed of them stands."""

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from apps.billing.models import Meter
from apps.billing.price_list import ship_prices
from apps.llm.embedded.files import (
    CHAT_MODEL_NAME,
    EMBEDDING_DIMENSIONS,
    EMBEDDING_MAX_TOKENS,
    EMBEDDING_MODEL_NAME,
)
from apps.llm.models import LLMModel, Provider, Route

# Behind the operators' own rows, whose default is 100.
ROUTE_PRIORITY = 1000


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """One embedded server, its model, what it is used for, and what its tokens cost unless an operator says else.

    The prices stand for the machine's own cost: small, but not nothing, so that statements show local use too.
    """

    provider_code: str
    provider_name: str
    use: Route.Use
    llm_model: dict[str, Any]
    prices: dict[Meter, int] = field(default_factory=dict)


CHAT = EmbeddedModel(
    provider_code="embedded",
    provider_name="Embedded chat model",
    use=Route.Use.ANSWER,
    llm_model={
        "code": CHAT_MODEL_NAME,
        "name": "SmolLM2 135M",
        "kind": LLMModel.Kind.CHAT,
        "grounding": LLMModel.Grounding.SENTENCES,
        "context_tokens": 2048,
        "max_output_tokens": 256,
    },
    prices={Meter.INPUT: 20_000_000, Meter.CACHE_READ: 2_000_000, Meter.OUTPUT: 80_000_000},
)
EMBEDDER = EmbeddedModel(
    provider_code="embedded-embedder",
    provider_name="Embedded embedding model",
    use=Route.Use.EMBEDDING,
    llm_model={
        "code": EMBEDDING_MODEL_NAME,
        "name": "MiniLM L6 v2",
        "kind": LLMModel.Kind.EMBEDDING,
        "context_tokens": EMBEDDING_MAX_TOKENS,
        "dimensions": EMBEDDING_DIMENSIONS,
    },
    prices={Meter.EMBEDDING: 10_000_000},
)


def register_embedded(*, chat_url: str, embedding_url: str, key: str) -> None:
    """Make the embedded models' providers, routes and prices where they are missing, and tell where the servers are.

    Address and key are the only things of an existing provider it changes.
    """
    with transaction.atomic():
        _register(CHAT, base_url=chat_url, key=key)
        _register(EMBEDDER, base_url=embedding_url, key=key)


def _register(embedded: EmbeddedModel, *, base_url: str, key: str) -> None:
    provider, is_new = Provider.objects.get_or_create(
        code=embedded.provider_code,
        defaults={"name": embedded.provider_name, "base_url": base_url, "secret": key},
    )
    if not is_new:
        provider.base_url, provider.secret = base_url, key
        provider.save(update_fields=["base_url", "secret"])
        return
    llm_model = LLMModel.objects.create(provider=provider, **embedded.llm_model)
    Route.objects.get_or_create(
        use=embedded.use, priority=ROUTE_PRIORITY, defaults={"llm_model": llm_model}
    )
    ship_prices(
        provider_code=provider.code, model_code=llm_model.code, nanos_by_meter=embedded.prices
    )
