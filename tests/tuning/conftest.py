"""What the tests of tuning share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.tuning import live
from tests.tuning import turning


@pytest.fixture
def turn(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> Iterator[Callable[[str, Any], None]]:
    """Turn a parameter live, in a test whose transaction never ends as in one without."""

    def turn_now(name: str, value: Any) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            turning.turn(name, value)

    yield turn_now
    live.forget()
