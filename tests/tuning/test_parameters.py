"""Declaring, reading and changing parameters, and the admin page that does it."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.tuning import live, registry, services
from apps.tuning.models import Revision
from apps.tuning.registry import Parameter, ParameterError

NAME = "observability.profiling_ratio"


def test_a_value_keeps_its_type_and_bounds() -> None:
    parameter = Parameter(name="x.y", default=3, minimum=1, maximum=5, help_text="")
    assert parameter.clean(5) == 5
    for wrong in (0, 6, "3", 3.0, True, None):
        with pytest.raises(ParameterError):
            parameter.clean(wrong)
    ratio = Parameter(name="x.z", default=0.5, minimum=0, maximum=1, help_text="")
    assert ratio.clean(1) == 1.0


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ParameterError):
        live.value("no.such")


@pytest.mark.django_db
def test_a_change_is_live_and_kept_in_the_journal(
    admin_user: User, django_capture_on_commit_callbacks
) -> None:
    live.forget()
    assert live.number(NAME) == registry.get(NAME).default
    with django_capture_on_commit_callbacks(execute=True):
        revision = services.change(values={NAME: 0.25}, author_id=admin_user.pk, reason="look")
    assert revision
    assert live.number(NAME) == 0.25
    assert revision.changed == {NAME: [0.0, 0.25]}
    assert services.change(values={NAME: 0.25}, author_id=None) is None
    with django_capture_on_commit_callbacks(execute=True):
        services.change(values={NAME: None}, author_id=None)
    assert live.number(NAME) == 0.0
    assert Revision.objects.count() == 2
    assert Revision.objects.get(is_active=True).values == {}


@pytest.mark.django_db
def test_a_wrong_value_changes_nothing(admin_user: User) -> None:
    with pytest.raises(ParameterError):
        services.change(values={NAME: 0.5, "chat.unknown": 1}, author_id=admin_user.pk)
    assert not Revision.objects.exists()


@pytest.mark.django_db
def test_the_page_changes_a_parameter_and_names_a_value_out_of_bounds(
    client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)
    url = reverse("admin:tuning_parameters")
    page = client.get(url)
    fields = {
        parameter.name.replace(".", "__"): parameter.default for parameter in registry.everything()
    }
    assert NAME in page.content.decode()
    field = NAME.replace(".", "__")
    refused = client.post(url, {**fields, field: 7})
    assert refused.status_code == 200
    assert not Revision.objects.exists()
    assert client.post(url, {**fields, field: 0.5, "reason": "why"}).status_code == 302
    assert Revision.objects.get().reason == "why"


@pytest.mark.django_db
def test_the_page_is_for_operators(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.get(reverse("admin:tuning_parameters")).status_code == 302


@pytest.fixture(autouse=True)
def _fresh_snapshot():
    live.forget()
    yield
    live.forget()
