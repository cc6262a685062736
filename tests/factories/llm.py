"""Makes providers, models and routes."""

from typing import Any

import factory

from apps.llm.models import LLMModel, Provider, Route
from apps.llm.services import as_choice
from apps.llm.types import Choice
from tests.fake_provider import DIMENSIONS, FakeProvider


class ProviderFactory(factory.django.DjangoModelFactory[Provider]):
    """A provider that is on."""

    class Meta:
        model = Provider

    code = factory.Sequence(lambda n: f"provider-{n}")
    name = "Fake provider"
    base_url = "http://127.0.0.1:9/v1"
    secret = "sk-secret-of-the-tests"
    connect_timeout_seconds = 5.0
    read_timeout_seconds = 30.0


class LLMModelFactory(factory.django.DjangoModelFactory[LLMModel]):
    """A chat model; `kind` and `dimensions` make it an embedder."""

    class Meta:
        model = LLMModel

    provider = factory.SubFactory(ProviderFactory)
    code = factory.Sequence(lambda n: f"model-{n}")
    name = "Fake model"
    kind = LLMModel.Kind.CHAT


class RouteFactory(factory.django.DjangoModelFactory[Route]):
    """A route for answers."""

    class Meta:
        model = Route

    use = Route.Use.ANSWER
    priority = factory.Sequence(lambda n: n + 1)
    llm_model = factory.SubFactory(LLMModelFactory)


def route_to(fake: FakeProvider, use: Route.Use = Route.Use.ANSWER, **model_fields: Any) -> Choice:
    """Make a route for this use to a model of the fake provider, and return its choice."""
    fields: dict[str, Any] = {"provider__base_url": fake.base_url, **model_fields}
    if use == Route.Use.EMBEDDING:
        fields = {"kind": LLMModel.Kind.EMBEDDING, "dimensions": DIMENSIONS, **fields}
    route = RouteFactory(use=use, llm_model=LLMModelFactory(**fields))
    return as_choice(route.llm_model, reason="Default route")
