"""What browsers keep of Parley: 304 exactly while a page would come out the same, and nothing for those who may not see it.

The oracle: ask with the tag of an earlier answer, and without; a 304 is right only where the fresh body is the earlier one,
but for the CSRF token, which is masked anew each time.
"""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.accounts.models import Membership, User
from apps.caching import http
from apps.documents.models import Document
from apps.documents.types import Sharing
from tests.factories.accounts import PASSWORD
from tests.factories.documents import served_version
from tests.project.kept_pages import CHANGES, FRAMED, World, asked_again, body, change_visibility
from tests.project.kept_pages import world as world

pytestmark = pytest.mark.django_db

TOAST = b'class="toast toast--good"'


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_shown_moves_the_tag(world: World, change: str) -> None:
    before = {name: world.client.get(url) for name, url in world.urls.items()}
    assert {answer.status_code for answer in before.values()} == {200}
    happen, seen = CHANGES[change]
    happen(world)
    for name, url in world.urls.items():
        answer = asked_again(world.client, url, before[name].headers["ETag"])
        if name in seen:
            assert answer.status_code in {200, 302, 404}, name
        if answer.status_code == 304:
            assert body(world.client.get(url)) == body(before[name]), name


def test_nothing_changed_and_nothing_is_rendered(world: World) -> None:
    for name, url in world.urls.items():
        first = world.client.get(url)
        again = asked_again(world.client, url, first.headers["ETag"])
        assert (again.status_code, again.content) == (304, b""), name
        assert again.templates == [], name
        for header in ("ETag", "Cache-Control"):
            assert again.headers[header] == first.headers[header], name
        assert again.headers["Cache-Control"] == "private, no-cache"
        varies = set(again.headers["Vary"].split(", "))
        assert varies >= {"Cookie", "Accept-Language", "Accept-Encoding"}, name


@pytest.mark.parametrize("name", ["page", "citation", "detail", "pages"])
def test_nobody_else_is_told_that_it_has_not_changed(
    world: World, outsider: User, name: str
) -> None:
    change_visibility(world, Sharing.PEOPLE, people=[world.owner])
    etag = world.client.get(world.urls[name]).headers["ETag"]
    stranger = Client()
    stranger.force_login(outsider)
    for tags in (etag, "*"):
        assert asked_again(stranger, world.urls[name], tags).status_code == 404
        assert asked_again(Client(), world.urls[name], tags).status_code == 302


@pytest.mark.parametrize("name", ["documents", "list", "new"])
def test_two_people_never_share_a_tag(world: World, outsider: User, name: str) -> None:
    stranger = Client()
    stranger.force_login(outsider)
    stranger.get(world.urls[name])
    etag = world.client.get(world.urls[name]).headers["ETag"]
    assert asked_again(stranger, world.urls[name], etag).status_code == 200


def test_the_signed_out_are_sent_to_the_sign_in_and_their_cache_is_emptied(world: World) -> None:
    url = world.urls["page"]
    etag = world.client.get(url).headers["ETag"]
    left = world.client.post(reverse("account_logout"))
    assert left.headers["Clear-Site-Data"] == '"cache"'
    for tags in (etag, "*"):
        answer = asked_again(world.client, url, tags)
        assert answer.status_code == 302
        assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{}", 304),
        ('"other", {}', 304),
        ('W/"other",{} , "third"', 304),
        ("*", 304),
        ('"other"', 200),
        ("", 200),
        ("not a tag", 200),
    ],
)
def test_if_none_match_compares_weakly_and_takes_lists(
    world: World, sent: str, status: int
) -> None:
    etag = world.client.get(world.urls["page"]).headers["ETag"]
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', etag)
    for tag in (etag, etag.removeprefix("W/")):
        answer = asked_again(world.client, world.urls["page"], sent.format(tag))
        assert answer.status_code == status


def test_a_message_is_shown_once(world: World) -> None:
    first = world.client.get(world.urls["page"])
    world.client.post(reverse("accounts:profile"), {"full_name": world.owner.full_name})
    told = asked_again(world.client, world.urls["page"], first.headers["ETag"])
    assert told.status_code == 200
    assert TOAST in told.content
    assert "ETag" not in told.headers
    assert told.headers["Cache-Control"] == "private, no-store"
    assert asked_again(world.client, world.urls["page"], first.headers["ETag"]).status_code == 304
    assert TOAST not in world.client.get(world.urls["page"]).content


def test_the_forms_of_a_kept_page_are_accepted(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.owner)
    kept = client.get(world.urls["page"])
    # The cookie was new to the first page; what it was made with is what the tag speaks of.
    assert asked_again(client, world.urls["page"], kept.headers["ETag"]).status_code == 304
    found = re.search(rb'data-csrf="(\w+)"', kept.content)
    assert found is not None
    rename = reverse("chat:conversation-update", args=[world.conversation.pk])
    sent = {"X-CSRFToken": found[1].decode()}
    assert client.post(rename, {"title": "Mine"}, headers=sent).status_code == 200
    assert client.post(rename, {"title": "Mine"}).status_code == 403


def test_a_head_of_department_sees_what_only_heads_may_do(world: World) -> None:
    department = world.owner.memberships.get().department
    change_visibility(world, Sharing.DEPARTMENT, department=department)
    names = ("documents", "rows", "detail")
    etags = {name: world.client.get(world.urls[name]).headers["ETag"] for name in names}
    Membership.objects.filter(user=world.owner).update(role=Membership.Role.HEAD)
    for name, etag in etags.items():
        assert asked_again(world.client, world.urls[name], etag).status_code == 200, name


def test_while_templates_are_edited_nothing_is_kept(world: World, settings: Any) -> None:
    etags = {name: world.client.get(url).headers["ETag"] for name, url in world.urls.items()}
    settings.DEBUG = True
    for name, url in world.urls.items():
        answer = asked_again(world.client, url, etags[name])
        assert answer.status_code == 200, name
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "ETag" not in answer.headers


def test_a_new_session_makes_other_pages(world: World) -> None:
    """Signing in changes the CSRF secret, which the forms of the kept pages would not match."""
    kept = {name: world.client.get(world.urls[name]).headers["ETag"] for name in FRAMED}
    world.client.post(reverse("account_logout"))
    sign_in = {"login": world.owner.email, "password": PASSWORD}
    assert world.client.post(reverse("account_login"), sign_in).status_code == 302
    for name, etag in kept.items():
        assert asked_again(world.client, world.urls[name], etag).status_code == 200


def test_another_language_and_another_release_make_other_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    etags = {name: world.client.get(url).headers["ETag"] for name, url in world.urls.items()}
    for name, url in world.urls.items():
        german = asked_again(world.client, url, etags[name], **{"Accept-Language": "de"})
        assert german.status_code == 200, name
    monkeypatch.setattr(http, "release", lambda: "the next one")
    for name, url in world.urls.items():
        assert asked_again(world.client, url, etags[name]).status_code == 200, name


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    age=st.timedeltas(timedelta(0), timedelta(days=9)),
    later=st.timedeltas(timedelta(0), timedelta(days=9)) | st.just(timedelta(seconds=61)),
)
def test_the_words_for_times_are_never_old(world: World, age: timedelta, later: timedelta) -> None:
    """ "5 minutes ago" grows older in pages whose data stay as they are."""
    moment = timezone.now()
    Document.objects.filter(pk=world.document.pk).update(uploaded_at=moment - age)
    for name in ("documents", "rows", "detail"):
        url = world.urls[name]
        with time_machine.travel(moment, tick=False):
            before = world.client.get(url)
        with time_machine.travel(moment + later, tick=False):
            answer = asked_again(world.client, url, before.headers["ETag"])
            fresh = body(world.client.get(url))
        assert (answer.status_code == 304) == (fresh == body(before)), name


@pytest.mark.parametrize("name", ["documents", "rows", "detail", "own"])
def test_a_time_told_relative_to_now_moves_the_tag(world: World, name: str) -> None:
    etag = world.client.get(world.urls[name]).headers["ETag"]
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        assert asked_again(world.client, world.urls[name], etag).status_code == 200


def test_the_text_of_a_version_is_not_read_to_say_that_it_is_the_same(world: World) -> None:
    first = world.client.get(world.urls["pages"])
    assert first.headers["X-Next-Page"] == ""
    with CaptureQueriesContext(connection) as queries:
        again = asked_again(world.client, world.urls["pages"], first.headers["ETag"])
    assert again.status_code == 304
    assert not any("documents_page" in query["sql"] for query in queries.captured_queries)


def test_passages_and_windows_have_tags_of_their_own(world: World) -> None:
    version = served_version(world.document, [f"Page {number}." for number in range(40)])
    Document.objects.filter(pk=world.document.pk).update(active_version=version)
    base = reverse("documents:pages", args=[world.document.pk])
    urls = [f"{base}?{query}" for query in ("from=1", "from=2", "from=1&start=0&end=4")]
    answers = [world.client.get(url) for url in urls]
    assert len({answer.headers["ETag"] for answer in answers}) == 3
    assert len({body(answer) for answer in answers}) == 3
