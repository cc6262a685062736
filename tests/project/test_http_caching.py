"""What browsers keep of Parley: 304 exactly while a page would come out the same, and nothing for those who may not see it.

The oracle: ask with the tag of an earlier answer, and without; a 304 is right only where the fresh body is the earlier one,
but for the CSRF token, which is masked anew each time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.accounts.models import Department, Membership, User
from apps.accounts.services import audience_of_user, everyone
from apps.caching import http
from apps.chat import services as chat
from apps.chat.models import Citation, Conversation, Feedback, Message
from apps.documents import services as documents
from apps.documents.models import Document, IngestRun
from apps.documents.types import Sharing, Visibility
from apps.llm.models import LLMModel
from tests.factories.accounts import PASSWORD, DepartmentFactory, MembershipFactory
from tests.factories.chat import CitationFactory, conversation_of, waiting_reply
from tests.factories.documents import served, served_version
from tests.factories.llm import RouteFactory
from tests.test_outsider import PUBLIC, ROUTES

pytestmark = pytest.mark.django_db

TOKEN = re.compile(rb'(data-csrf="|name="csrfmiddlewaretoken" value=")[A-Za-z0-9]{64}')
RECEIPT = {
    "total_nanos": 1, "amount_nanos": 1, "retrieval_nanos": 0, "stages": {"model": 3.5},
    "first_token_ms": 1.5, "total_ms": 3.5, "cache_layer": "none", "source_count": 1,
}  # fmt: skip
TOAST = b'class="toast toast--good"'


@dataclass(frozen=True, slots=True)
class World:
    """The owner with a conversation that cites a colleague's document, which everyone may read at first."""

    owner: User
    colleague: User
    client: Client
    conversation: Conversation
    reply: Message
    citation: Citation
    document: Document
    own_document: Document

    @property
    def urls(self) -> dict[str, str]:
        return {
            "page": reverse("chat:conversation-detail", args=[self.conversation.pk]),
            "new": reverse("chat:new"),
            "list": reverse("chat:conversation-list"),
            "found": reverse("chat:conversation-list") + "?q=days",
            "citation": reverse("chat:citation", args=[self.citation.pk]),
            "documents": reverse("documents:list"),
            "rows": reverse("documents:list") + "?partial=1",
            "detail": reverse("documents:detail", args=[self.document.pk]),
            "own": reverse("documents:detail", args=[self.own_document.pk]),
            "pages": reverse("documents:pages", args=[self.document.pk]) + "?from=1",
        }


@pytest.fixture
def world(owner: User, colleague: User) -> World:
    RouteFactory()
    document = served(colleague, "Annual leave is 28 days.", name="leave.pdf", audience=everyone())
    own = served(owner, "Pumps.", name="pumps.pdf")
    conversation = conversation_of(owner, turns=2, title="About leave")
    reply = Message.objects.get(pk=conversation.active_leaf_id)
    Message.objects.filter(pk=reply.pk).update(content="It is 28 days [1].")
    citation = CitationFactory(
        message=reply,
        document=document,
        version=document.active_version,
        document_name=document.name,
        start_offset=0,
        end_offset=24,
    )
    client = Client()
    client.force_login(owner)
    # The first page gives the CSRF cookie.
    client.get(reverse("documents:list"))
    return World(owner, colleague, client, conversation, reply, citation, document, own)


def body(response: Any) -> bytes:
    """Return what is shown: all but the token's mask."""
    return TOKEN.sub(rb"\1", response.content)


def asked_again(client: Client, url: str, etag: str, **headers: str) -> Any:
    return client.get(url, headers={"If-None-Match": etag, **headers})


def change_visibility(world: World, sharing: Sharing, **fields: Any) -> None:
    documents.change_visibility(
        document=world.document, by=world.colleague, visibility=Visibility(sharing, **fields)
    )


def serve_another_version(world: World) -> None:
    version = served_version(world.document, ["Annual leave is 30 days.", "More."])
    Document.objects.filter(pk=world.document.pk).update(active_version=version)


def reindex(world: World) -> None:
    documents.reindex(document=world.document)
    IngestRun.objects.filter(document=world.document, state=IngestRun.State.WAITING).update(
        state=IngestRun.State.RUNNING, step=IngestRun.Step.EMBED, done_count=3, total_count=9
    )
    Document.objects.filter(pk=world.document.pk).update(status=Document.Status.READING)


def edit_reply(**fields: Any) -> Callable[[World], Any]:
    return lambda world: Message.objects.filter(pk=world.reply.pk).update(**fields)


def judge(world: World, *, is_positive: bool | None) -> None:
    chat.give_feedback(reply=world.reply, is_positive=is_positive, reason="", comment="")


def edit_owner(**fields: Any) -> Callable[[World], Any]:
    return lambda world: User.objects.filter(pk=world.owner.pk).update(**fields)


CHAT = {"page", "new", "list"}
FRAMED = {"page", "new", "documents", "detail", "own"}
ALL = {"page", "new", "list", "found", "citation", "documents", "rows", "detail", "own", "pages"}

# What happens, and where it must be seen; elsewhere the oracle alone decides.
CHANGES: dict[str, tuple[Callable[[World], Any], set[str]]] = {
    "renamed": (lambda w: chat.rename(conversation=w.conversation, title="Holidays"), CHAT),
    "archived": (lambda w: chat.set_archived(conversation=w.conversation, is_archived=True), CHAT),
    "another conversation": (lambda w: conversation_of(w.owner), CHAT),
    "a question asked": (lambda w: waiting_reply(w.conversation), {"page"}),
    "a reply begun": (edit_reply(state="RUNNING"), {"page"}),
    "a reply stopped": (edit_reply(state="STOPPED"), {"page"}),
    "a reply failed": (edit_reply(state="FAILED", error_code="lost"), {"page"}),
    "a reply's text": (edit_reply(content="The answer is 30 days [1]."), {"page", "found"}),
    "a receipt": (edit_reply(receipt=RECEIPT), {"page"}),
    "a thumb up": (lambda w: judge(w, is_positive=True), {"page"}),
    "a thumb down": (lambda w: judge(w, is_positive=False), {"page"}),
    "access taken": (
        lambda w: change_visibility(w, Sharing.ME),
        {"page", "new", "citation", "documents", "rows", "detail", "pages"},
    ),
    "shared with fewer": (
        lambda w: change_visibility(w, Sharing.PEOPLE, people=[w.owner]),
        {"documents", "rows", "detail"},
    ),
    "a document renamed": (
        lambda w: documents.rename(document=w.document, name="holidays.pdf"),
        {"page", "new", "documents", "rows", "detail"},
    ),
    "a document tagged": (
        lambda w: documents.set_tags(document=w.document, tags=["hr"]),
        {"documents", "rows", "detail"},
    ),
    "a document deleted": (
        lambda w: documents.delete(document=w.document),
        {"page", "new", "citation", "documents", "rows", "detail", "pages"},
    ),
    "another version": (serve_another_version, {"detail", "pages", "documents", "rows"}),
    "read anew": (reindex, {"detail", "documents", "rows"}),
    "a new document": (lambda w: served(w.owner), {"page", "new", "documents", "rows"}),
    "a department renamed": (
        lambda w: Department.objects.filter(memberships__user=w.owner).update(name="Service"),
        {"page", "new", "documents", "own"},
    ),
    "one department more": (
        lambda w: MembershipFactory(user=w.owner, department=DepartmentFactory()),
        {"new", "documents", "own"},
    ),
    "in no department": (
        lambda w: Membership.objects.filter(user=w.owner).delete(),
        {"page", "new", "documents", "own"},
    ),
    "another model": (lambda _w: LLMModel.objects.update(name="Other"), {"page", "new"}),
    "a new name": (edit_owner(full_name="Olga"), FRAMED | {"documents", "rows", "own"}),
    "made an operator": (edit_owner(is_operator=True), FRAMED),
    "deactivated": (edit_owner(is_active=False), ALL),
    "a new password": (edit_owner(password=make_password("another long password")), ALL),
}


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


def test_the_release_is_made_of_what_makes_the_markup(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_ROOT", tmp_path)
    seen = set()
    for number, path in enumerate(
        ["templates/base.html", "apps/core/templatetags/ui.py", "requirements/base.txt"]
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        for text in (f"{number}", f"{number} changed"):
            (tmp_path / path).write_text(text)
            http.release.cache_clear()
            seen.add(http.release())
    settings.STATIC_URL = "https://static.example.org/"
    http.release.cache_clear()
    seen.add(http.release())
    http.release.cache_clear()
    assert len(seen) == 7


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


REVALIDATED = {
    "chat:new", "chat:conversation-detail", "chat:conversation-list", "chat:citation", "chat:cost-tags",
    "documents:list", "documents:detail", "documents:pages", "billing:usage", "billing:calls",
}  # fmt: skip


def test_all_else_is_kept_by_nobody(world: World, admin_user: User) -> None:
    """Walks the URL map: what does not say that it may be kept and asked for again must not be kept."""
    values = {
        "documents": {"document_id": world.own_document.pk},
        "chat": {"pk": world.conversation.pk, "kind": "json", "message_id": world.reply.pk},
        "chat:citation": {"pk": world.citation.pk},
        "accounts:first-operator": {"token": "none"},
        "billing": {
            "call_id": uuid4(), "budget_id": uuid4(), "request_id": uuid4(), "statement_id": uuid4(), "code": "none",
        },
    }  # fmt: skip
    revalidated = set()
    world.client.raise_request_exception = False
    for name in [*ROUTES, *PUBLIC]:
        known = values.get(name, values.get(name.partition(":")[0], {}))
        arguments = {key: known[key] for key in ROUTES[name].pattern.converters}
        answer = world.client.get(reverse(name, kwargs=arguments))
        policy = answer.headers["Cache-Control"]
        if policy == http.REVALIDATED:
            revalidated.add(name)
        else:
            assert "no-store" in policy, name
            assert "private" in policy or answer.streaming, name
    assert revalidated == REVALIDATED
    operator = Client()
    operator.force_login(admin_user)
    others = ["/", "/nowhere/", "/account/login/", "/account/password/change/", "/silk/"]
    for url in [*others, reverse("admin:index"), reverse("admin-health"), "/metrics"]:
        policy = operator.get(url).headers["Cache-Control"]
        assert "no-store" in policy, url
        assert "private" in policy, url
    assert get_resolver().resolve("/metrics")


def test_a_post_is_kept_by_nobody(world: World) -> None:
    url = reverse("chat:feedback", args=[world.reply.pk])
    for sent in ({"is_positive": "1"}, {"is_positive": "perhaps"}):
        assert world.client.post(url, sent).headers["Cache-Control"] == http.NOT_KEPT
    assert Feedback.objects.filter(is_positive=True).exists()


def test_what_it_does_not_know_it_does_not_guess(owner: User) -> None:
    request = RequestFactory().get("/")
    request.user = owner
    with pytest.raises(http.UnknownValueError, match="generator"):
        http.validator(request, {"rows": (row for row in [1])})
    pairs: list[tuple[object, object]] = [
        (None, "None"),
        (1, "1"),
        (True, 1),
        ([1, [2]], [1, 2]),
        ("ab", ["a", "b"]),
        (owner.pk, str(owner.pk)),
        ({"a": 1}, [["a", 1]]),
        (audience_of_user(owner), everyone()),
        (timedelta(seconds=1), timedelta(seconds=2)),
    ]
    for one, other in pairs:
        assert http.validator(request, one) != http.validator(request, other)
        assert http.validator(request, [one]) == http.validator(request, [one])
    assert http.validator(request, {3, 1, 2}) == http.validator(request, {2, 3, 1})
    assert http.validator(request, User.objects.all()) == http.validator(request, [owner])


def test_the_validator_knows_all_that_templates_read_beside_their_context() -> None:
    """A processor, a column of the reader or a part of the request added here must go into the validator first."""
    processors = settings.TEMPLATES[0]["OPTIONS"]["context_processors"]
    assert processors == [
        # The path and query are in it; the matched view follows from the path.
        "django.template.context_processors.request",
        # Of the user, what is read is in it (below); no page reads `perms`.
        "django.contrib.auth.context_processors.auth",
        # A page with messages has no tag.
        "django.contrib.messages.context_processors.messages",
        # Only the sign-in reads them, and nobody keeps it.
        "apps.accounts.context.demo_logins",
    ]
    texts = {
        path.name: path.read_text()
        for path in Path(settings.BASE_DIR, "templates").rglob("*.html")
        if not {"admin", "account", "accounts"} & {*path.parts}
    }
    read = set(re.findall(r"\b(?:user|request|perms|LANGUAGE_CODE)\.\w+", " ".join(texts.values())))
    assert read == {
        "user.is_authenticated", "user.get_full_name", "user.email", "user.is_staff",
        "request.resolver_match",
    }  # fmt: skip
    # Pages that tell a time relative to now give it as one of their `moments`.
    relative = {name for name, text in texts.items() if re.search(r"\|\s*when\b", text)}
    # A request for more is never kept; where a department's page shows one, its time is among the moments.
    assert relative == {"_about.html", "_rows.html", "_decide.html", "request.html"}
    assert not [name for name, text in texts.items() if re.search(r"{%\s*now\b|timesince", text)]
