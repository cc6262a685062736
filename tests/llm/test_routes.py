"""Which model is chosen."""

from collections.abc import Callable

import pytest

from apps.llm.errors import NoModelError
from apps.llm.models import Route
from apps.llm.services import choose
from tests.factories.llm import LLMModelFactory, ProviderFactory, RouteFactory

pytestmark = pytest.mark.django_db


def test_the_lowest_priority_that_is_on_wins() -> None:
    first, second = RouteFactory(priority=1), RouteFactory(priority=2)
    assert choose(Route.Use.ANSWER).model_code == first.llm_model.code
    assert choose(Route.Use.ANSWER).reason == "Default route for answers"
    first.llm_model.provider.is_enabled = False
    first.llm_model.provider.save(update_fields=["is_enabled"])
    chosen = choose(Route.Use.ANSWER)
    assert chosen.model_code == second.llm_model.code
    assert "off" in chosen.reason


@pytest.mark.parametrize(
    "make_off",
    [
        lambda: RouteFactory(is_enabled=False),
        lambda: RouteFactory(llm_model=LLMModelFactory(is_enabled=False)),
        lambda: RouteFactory(llm_model=LLMModelFactory(provider=ProviderFactory(is_enabled=False))),
    ],
)
def test_what_is_off_is_not_used(make_off: Callable[[], Route]) -> None:
    make_off()
    with pytest.raises(NoModelError, match="Answers"):
        choose(Route.Use.ANSWER)


def test_a_choice_shows_no_secret() -> None:
    RouteFactory()
    assert "sk-secret" not in repr(choose(Route.Use.ANSWER))
