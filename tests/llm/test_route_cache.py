"""Routes from process memory: chosen without a query, switched at once."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.caching import listener, local, relay
from apps.llm import services as llm
from apps.llm.errors import NoModelError
from apps.llm.models import LLMModel, Provider, Route
from tests.caching.waiting import until
from tests.factories.llm import RouteFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def routes() -> list[Route]:
    listener.ensure()
    until(lambda: local.is_open)
    return [RouteFactory(use=Route.Use.ANSWER, priority=number) for number in (1, 2)]


def _chosen() -> str:
    return llm.choose(Route.Use.ANSWER).model_code


def test_a_warm_choice_needs_no_query(routes: list[Route]) -> None:
    _chosen()
    with CaptureQueriesContext(connection) as queries:
        assert _chosen() == routes[0].llm_model.code
    assert not [query for query in queries if "llm_" in query["sql"]]


@pytest.mark.parametrize("model", [Route, LLMModel, Provider])
def test_a_saved_switch_is_at_once(routes: list[Route], model: type) -> None:
    _chosen()
    first = {
        Route: routes[0],
        LLMModel: routes[0].llm_model,
        Provider: routes[0].llm_model.provider,
    }[model]
    first.is_enabled = False
    first.save(update_fields=["is_enabled"])
    choice = llm.choose(Route.Use.ANSWER)
    assert choice.model_code == routes[1].llm_model.code
    assert "those before it are off" in choice.reason


@pytest.mark.parametrize("model", [Route, LLMModel, Provider])
def test_a_bulk_update_is_seen_once_the_relay_was_there(routes: list[Route], model: type) -> None:
    _chosen()
    model.objects.update(is_enabled=False)
    relay.repeat_all()
    with pytest.raises(NoModelError):
        _chosen()


def test_a_provider_s_key_never_reaches_valkey(routes: list[Route]) -> None:
    from apps.caching import remote

    provider = routes[0].llm_model.provider
    provider.secret = "sk-very-secret"
    provider.save(update_fields=["secret"])
    assert llm.choose(Route.Use.ANSWER).secret == "sk-very-secret"
    for key in remote.client().scan_iter():
        assert b"sk-very-secret" not in remote.client().dump(key)
