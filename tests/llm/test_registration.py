"""The embedded models become ordinary providers, and stay what an operator makes of them."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.billing.models import Price
from apps.billing.price_book import in_force
from apps.llm.models import LLMModel, Provider, Route
from apps.llm.services import choose
from tests.factories.billing import PriceFactory

pytestmark = pytest.mark.django_db


def register(monkeypatch: pytest.MonkeyPatch, key: str = "k", port: int = 1) -> None:
    monkeypatch.setenv("EMBEDDED_API_KEY", key)
    call_command(
        "llm_register_embedded",
        chat_url=f"http://127.0.0.1:{port}/v1",
        embedding_url=f"http://127.0.0.1:{port + 1}/v1",
    )


def test_both_models_are_routed_and_priced(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    answers, embeddings = choose(Route.Use.ANSWER), choose(Route.Use.EMBEDDING)
    assert (answers.grounding, answers.context_tokens) == (LLMModel.Grounding.SENTENCES, 2048)
    assert (embeddings.dimensions, embeddings.base_url) == (384, "http://127.0.0.1:2/v1")
    assert Price.objects.count() == 4


def test_again_it_changes_address_and_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    LLMModel.objects.update(name="Ours", is_enabled=False)
    Route.objects.all().delete()
    shipped = Price.objects.earliest("pk")
    PriceFactory(
        provider_code=shipped.provider_code,
        model_code=shipped.model_code,
        meter=shipped.meter,
        nanos_per_million_tokens=5,
        starts_at=timezone.now(),
        source=Price.Source.OPERATOR,
    )
    register(monkeypatch, key="k2", port=7)
    assert set(Provider.objects.values_list("base_url", flat=True)) == {
        "http://127.0.0.1:7/v1",
        "http://127.0.0.1:8/v1",
    }
    assert {provider.secret for provider in Provider.objects.all()} == {"k2"}
    assert set(LLMModel.objects.values_list("name", "is_enabled")) == {("Ours", False)}
    assert not Route.objects.exists()
    assert Price.objects.count() == 5
    prices = dict(in_force(provider_code=shipped.provider_code, model_code=shipped.model_code))
    assert prices[shipped.meter] == 5


def test_the_key_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="EMBEDDED_API_KEY"):
        register(monkeypatch, key="")
