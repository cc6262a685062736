"""The fixture `fake_provider`; tests/conftest.py imports it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fake_provider import FakeProvider


@pytest_asyncio.fixture
async def fake_provider() -> AsyncIterator[FakeProvider]:
    """A programmable provider; the connections of the test's loop and of sync code are closed after it."""
    from apps.llm import background, services

    with FakeProvider() as provider:
        yield provider
        await services.close()
        background.run(services.close())
