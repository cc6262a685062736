"""What the tests of kept answers share."""

import pytest

from apps.accounts.models import User
from apps.accounts.services import everyone
from apps.documents.models import Document
from tests.chat.answers.asking import routes
from tests.factories.documents import served
from tests.fake_provider import FakeProvider


@pytest.fixture
def provider(fake_provider: FakeProvider) -> FakeProvider:
    """A provider with routes for answers and embeddings."""
    routes(fake_provider)
    return fake_provider


@pytest.fixture
def policy(owner: User) -> Document:
    """A document that everyone may read."""
    return served(owner, "Annual leave is 28 days.", audience=everyone())
