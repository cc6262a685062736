"""`llm_ping`: a real call to each model, and an exit code that tells."""

import json

import pytest
from django.core.management import CommandError, call_command

from apps.billing.models import Purpose, UsageRecord
from apps.llm import background, services
from apps.llm.models import Route
from apps.llm.ping import ping
from apps.llm.registration import register_embedded
from tests.conftest import EmbeddedModels
from tests.factories.accounts import DepartmentFactory
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_calls_each_model_and_bills_it_as_a_check(
    fake_provider: FakeProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    DepartmentFactory()
    route_to(fake_provider)
    route_to(fake_provider, Route.Use.EMBEDDING)
    call_command("llm_ping", "--json")
    chat, embedder = json.loads(capsys.readouterr().out)
    assert chat["first_token_ms"] <= chat["latency_ms"]
    assert embedder["first_token_ms"] is None
    assert {request.path for request in fake_provider.requests} == {
        "/v1/chat/completions",
        "/v1/embeddings",
    }
    assert set(UsageRecord.objects.values_list("purpose", flat=True)) == {Purpose.PING}


def test_a_model_that_fails_fails_the_command_and_the_others_are_still_called(
    fake_provider: FakeProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    DepartmentFactory()
    first = route_to(fake_provider, provider__code="a")
    second = route_to(fake_provider, provider__code="b")
    fake_provider.will_fail(401, message="who are you")
    with pytest.raises(CommandError, match="1"):
        call_command("llm_ping")
    lines = capsys.readouterr().out.splitlines()
    assert "provider_refused" in lines[0]
    assert second.model_code in lines[1]
    fake_provider.requests.clear()
    call_command("llm_ping", second.provider_code)
    assert [request.body["model"] for request in fake_provider.requests] == [second.model_code]
    assert first.model_code != second.model_code


@pytest.mark.parametrize("arguments", [[], ["nobody"]])
def test_nothing_to_call_or_nobody_to_pay_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("llm_ping", *arguments)


def test_the_embedded_models_answer_through_the_same_door(
    embedded_models: EmbeddedModels,
) -> None:
    department = DepartmentFactory()
    register_embedded(
        chat_url=embedded_models.chat_url,
        embedding_url=embedded_models.embedding_url,
        key=embedded_models.api_key,
    )
    results = ping(provider_code=None, department_id=department.pk)
    assert [result.error for result in results] == ["", ""]
    assert all(result.amount_nanos > 0 for result in results)
    assert not UsageRecord.objects.filter(is_estimated=True).exists()
    background.run(services.close())
