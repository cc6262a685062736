"""Providers in the admin: usable, and no way to read a key out."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.llm.models import Provider
from tests.factories.billing import PriceFactory
from tests.factories.llm import LLMModelFactory, ProviderFactory, RouteFactory

pytestmark = pytest.mark.django_db


def entered(provider: Provider, **fields: object) -> dict[str, object]:
    names = ("name", "base_url", "connect_timeout_seconds", "read_timeout_seconds")
    return (
        {name: getattr(provider, name) for name in names}
        | {"is_enabled": "on", "secret": ""}
        | fields
    )


@pytest.mark.parametrize("kind", ["provider", "llmmodel", "route"])
def test_operators_may_enter_and_nobody_else(
    client: Client, admin_user: User, owner: User, kind: str
) -> None:
    RouteFactory()
    for url in (reverse(f"admin:llm_{kind}_changelist"), reverse(f"admin:llm_{kind}_add")):
        client.force_login(owner)
        assert client.get(url).status_code == 302
        client.force_login(admin_user)
        assert client.get(url).status_code == 200


def test_a_key_is_stored_kept_and_never_shown(client: Client, admin_user: User) -> None:
    provider = ProviderFactory(secret="sk-1")
    url = reverse("admin:llm_provider_change", args=[provider.pk])
    client.force_login(admin_user)
    assert "sk-1" not in client.get(url).content.decode()
    assert client.post(url, entered(provider, name="New")).status_code == 302
    provider.refresh_from_db()
    assert (provider.name, provider.secret) == ("New", "sk-1")
    assert client.post(url, entered(provider, secret="sk-2")).status_code == 302
    provider.refresh_from_db()
    assert provider.secret == "sk-2"


def test_a_new_address_needs_the_key_again(client: Client, admin_user: User) -> None:
    provider = ProviderFactory(secret="sk-1")
    url = reverse("admin:llm_provider_change", args=[provider.pk])
    client.force_login(admin_user)
    response = client.post(url, entered(provider, base_url="https://elsewhere.example/v1"))
    assert response.status_code == 200
    assert "Enter the key again" in response.content.decode()
    again = entered(provider, base_url="https://elsewhere.example/v1", secret="sk-1")
    assert client.post(url, again).status_code == 302


def test_a_model_shows_its_prices(client: Client, admin_user: User) -> None:
    llm_model = LLMModelFactory(provider__code="provider", code="model")
    url = reverse("admin:llm_llmmodel_change", args=[llm_model.pk])
    client.force_login(admin_user)
    assert "No price is set" in client.get(url).content.decode()
    PriceFactory()
    assert "Input tokens: 0.15 $" in client.get(url).content.decode()
