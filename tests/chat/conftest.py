"""What the chat tests share."""

from collections.abc import Iterator

import pytest

from apps.accounts.models import User
from tests.browsing import browser as browser
from tests.browsing import connections_returned as connections_returned
from tests.browsing import page as page
from tests.chat.serving import Server, serving
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider


@pytest.fixture(scope="session")
def other_server(django_db_setup: None) -> Iterator[Server]:
    """A second process beside the first, as long-lived as that one."""
    with serving() as running:
        yield running


@pytest.fixture
def provider(fake_provider: FakeProvider, owner: User) -> FakeProvider:
    """A provider with a route for answers."""
    route_to(fake_provider)
    return fake_provider
