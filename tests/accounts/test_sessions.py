"""Sessions read through the cache: fewer queries, and an ended one is out at once."""

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.sessions import SessionStore
from apps.caching import relay, remote

pytestmark = pytest.mark.django_db(transaction=True)


def _is_in(client: Client) -> bool:
    return client.get(reverse("chat:new")).status_code == 200


def test_a_second_request_reads_no_session_row(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert _is_in(client)
    with CaptureQueriesContext(connection) as queries:
        assert _is_in(client)
    assert not [query for query in queries if "django_session" in query["sql"]]


def test_signing_out_is_at_once(client: Client, owner: User) -> None:
    client.force_login(owner)
    stolen = Client()
    stolen.cookies = client.cookies.copy()
    assert _is_in(client)
    assert _is_in(stolen)
    client.logout()
    assert not _is_in(stolen)


def test_a_leaver_is_out_at_once(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert _is_in(client)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert not _is_in(client)


def test_sessions_ended_by_sql_are_out_once_the_relay_was_there(
    client: Client, owner: User
) -> None:
    client.force_login(owner)
    assert _is_in(client)
    Session.objects.all().delete()
    relay.repeat_all()
    assert not _is_in(client)


def test_a_session_of_another_is_not_mine(owner: User, outsider: User) -> None:
    mine, theirs = Client(), Client()
    mine.force_login(owner)
    theirs.force_login(outsider)
    for client, person in ((mine, owner), (theirs, outsider)) * 2:
        assert client.get(reverse("chat:new")).wsgi_request.user == person


def test_what_was_saved_is_read_back(owner: User) -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    for value in (2, 3):
        again = SessionStore(session.session_key)
        assert again["a"] == value - 1
        again["a"] = value
        again.save()
    assert SessionStore(session.session_key)["a"] == 3
    SessionStore(session.session_key).delete()
    assert SessionStore(session.session_key).load() == {}


def test_an_expired_session_is_none_though_it_is_cached() -> None:
    session = SessionStore()
    session.set_expiry(60)
    session["a"] = 1
    session.save()
    assert SessionStore(session.session_key).load()["a"] == 1
    Session.objects.filter(pk=session.session_key).update(expire_date="2020-01-01T00:00Z")
    relay.repeat_all()
    assert SessionStore(session.session_key).load() == {}


async def test_the_async_reading_is_the_same(owner: User) -> None:
    client = AsyncClient()
    await client.aforce_login(owner)
    assert (await client.get(reverse("documents:events"))).status_code == 200
    await client.alogout()
    assert (await client.get(reverse("documents:events"))).status_code == 302
    await remote.aclose()
