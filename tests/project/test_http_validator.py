"""What a tag is made of: all that a page shows, and nothing that is not known; what carries none is kept by nobody."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import get_resolver, reverse

from apps.accounts.models import User
from apps.accounts.services import audience_of_user, everyone
from apps.caching import http
from apps.chat.models import Feedback
from tests.project.kept_pages import World
from tests.project.kept_pages import world as world
from tests.test_outsider import PUBLIC, ROUTES

pytestmark = pytest.mark.django_db


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
