"""Secrets: encrypted with keys that rotate, and never shown."""

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection
from django.forms import modelform_factory
from pytest_django import Settings

from apps.llm.fields import SecretKeyError
from apps.llm.models import Provider
from tests.factories.llm import ProviderFactory

pytestmark = pytest.mark.django_db


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM llm_provider")
        [secret] = cursor.fetchone()
    return str(secret)


def test_the_secret_is_encrypted_at_rest() -> None:
    provider = ProviderFactory(secret="sk-very-secret")
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(llm_provider)::text FROM llm_provider")
        [row] = cursor.fetchone()
    assert "sk-very-secret" not in row
    provider.refresh_from_db()
    assert provider.secret == "sk-very-secret"


def test_a_new_key_in_front_reads_old_secrets_and_writes_with_itself(settings: Settings) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    ProviderFactory(secret="sk-1")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    provider = Provider.objects.get()
    assert provider.secret == "sk-1"
    provider.save(update_fields=["secret"])
    assert Fernet(new).decrypt(stored()) == b"sk-1"


@pytest.mark.parametrize("keys", [[], ["nonsense"], [Fernet.generate_key().decode()]])
def test_without_the_right_key_it_says_which_setting_is_wrong(
    settings: Settings, keys: list[str]
) -> None:
    ProviderFactory()
    settings.FIELD_ENCRYPTION_KEYS = keys
    with pytest.raises(SecretKeyError, match="FIELD_ENCRYPTION_KEYS"):
        Provider.objects.get()


def test_no_secret_needs_no_key(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    ProviderFactory(secret="")
    assert Provider.objects.get().secret == ""


def test_a_form_shows_nothing_and_left_empty_keeps_the_secret() -> None:
    provider = ProviderFactory(secret="sk-1")
    form_class = modelform_factory(Provider, fields=["name", "secret"])
    assert "sk-1" not in str(form_class(instance=provider))
    for entered, kept in [("", "sk-1"), ("sk-2", "sk-2")]:
        form = form_class({"name": "n", "secret": entered}, instance=provider)
        form.save()
        provider.refresh_from_db()
        assert provider.secret == kept


def test_exports_hold_no_secret() -> None:
    assert "sk-1" not in serializers.serialize("json", [ProviderFactory(secret="sk-1")])
