"""How a test says which parameters it turns, and how it turns them: as an operator would, without a restart."""

from collections.abc import Callable
from typing import Any, TypeVar

from apps.tuning import services

Test = TypeVar("Test", bound=Callable[..., Any])


def turns(*names: str) -> Callable[[Test], Test]:
    """Mark a test that turns these parameters and sees the code behave otherwise.

    `test_every_parameter_has_a_test_that_turns_it` looks for the marks in the tests' sources.
    """

    def marked(test: Test) -> Test:
        assert names
        return test

    return marked


def turn(name: str, value: Any) -> None:
    """Turn a parameter through the journal; a value it has already turns nothing, and is a mistake in the test."""
    assert services.change(values={name: value}, author_id=None)
