"""Signing in, uploading and asking go on without the cache, in a real server that has lost it."""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.urls import reverse

from apps.accounts.models import User
from apps.chat.models import Message
from apps.documents.models import Document
from tests.browsing import connections_returned as connections_returned
from tests.caching.processes.valkey import INJURIES, OwnValkey
from tests.caching.processes.valkey import valkey as valkey
from tests.chat.serving import Browser, Server, serving, text_of
from tests.factories.accounts import PASSWORD
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("connections_returned"),
]


@pytest_asyncio.fixture
async def server(valkey: OwnValkey, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server on a cache of its own, which it has already used."""
    monkeypatch.setenv("CACHE_URL", valkey.url)
    with serving("tests.caching.processes.shipped_settings") as running:
        yield running


def continue_as_signed_in(browser: Browser, given: Mapping[str, str]) -> None:
    """Take the session and the token of a sign-in."""
    token = given[settings.CSRF_COOKIE_NAME]
    browser.http.cookies.clear()
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        browser.http.cookies.set(name, given[name])
    browser.http.headers["X-CSRFToken"] = token


@pytest.mark.parametrize("injury", ["refuses connections", "never answers"])
async def test_people_sign_in_upload_and_ask(
    injury: str, valkey: OwnValkey, server: Server, fake_provider: FakeProvider, owner: User
) -> None:
    hurt, heal = INJURIES[injury]
    await sync_to_async(route_to)(fake_provider)
    async with Browser(server, owner) as browser:
        await browser.answer("Is there a cache?")
        # The sign-in page sends those away who are signed in.
        browser.http.cookies.delete(settings.SESSION_COOKIE_NAME)
        hurt(valkey)
        try:
            credentials = {"login": owner.email, "password": PASSWORD}
            answer = await browser.http.post(reverse("account_login"), data=credentials)
            assert answer.status_code == 302, answer.text
            continue_as_signed_in(browser, answer.cookies)

            file = {"file": ("policy.txt", b"Leave is 28 days.")}
            answer = await browser.http.post(
                reverse("documents:upload"), data={"visibility": "EVERYONE"}, files=file
            )
            assert answer.status_code == 201, answer.text

            fake_provider.will_answer("Twenty", " days", ".")
            events = await browser.answer("How many days of leave?")
            assert text_of(events) == "Twenty days."
            for page in ("/chat/", reverse("documents:list")):
                answer = await browser.http.get(page)
                assert answer.status_code == 200
        finally:
            heal(valkey)
    assert await Document.objects.aget(owner=owner)
    assert await Message.objects.filter(state=Message.State.DONE).acount() == 4
