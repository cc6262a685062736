"""What the chat tests share."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import connections

from tests.chat.serving import Server, serving


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[Server]:
    """A real server on the test's database."""
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def other_server(django_db_setup: None) -> Iterator[Server]:
    """A second process beside the first."""
    with serving() as running:
        yield running


@pytest_asyncio.fixture
async def connections_returned() -> AsyncIterator[None]:
    """Give back what the test's asynchronous queries opened on their own thread."""
    yield
    await sync_to_async(connections.close_all)()
