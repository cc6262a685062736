"""The page of a document: passages, windows, versions, and the file itself."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from django.urls import reverse

from apps.accounts.models import User
from tests.documents.views.asking import send, signed_in
from tests.factories.documents import served, served_version, uploaded

pytestmark = pytest.mark.django_db


def shown(answer: Any) -> list[list[tuple[str, bool]]]:
    return [
        [(part.text, part.is_marked) for part in page.parts] for page in answer.context["pages"]
    ]


def test_the_viewer_marks_a_passage_on_its_page(owner: User) -> None:
    pages = [f"Page {number} of the manual." for number in range(1, 41)]
    document = served(owner, *pages)
    start = sum(len(page) + 2 for page in pages[:29])
    answer = send(signed_in(owner), "get", "detail", document.pk, start=start, end=start + 7)
    assert shown(answer)[0] == [("Page 30", True), (" of the manual.", False)]
    assert answer.context["pages"][0].label == "Page 30"
    assert answer.context["has_passage"]
    assert (answer.context["previous_page"], answer.context["next_page"]) == (15, None)
    assert answer.content.decode().count('id="passage"') == 1


def test_a_passage_over_two_pages_is_marked_on_both(owner: User) -> None:
    document = served(owner, "It goes", "on here.")
    answer = send(signed_in(owner), "get", "detail", document.pk, start=3, end=11)
    assert shown(answer) == [[("It ", False), ("goes", True)], [("on", True), (" here.", False)]]
    assert answer.content.decode().count('id="passage"') == 1


def test_a_long_document_is_shown_in_windows(owner: User) -> None:
    document = served(owner, *[f"Page {number}." for number in range(1, 501)])
    client = signed_in(owner)
    first = send(client, "get", "detail", document.pk)
    assert len(first.context["pages"]) == 15
    more = send(client, "get", "pages", document.pk, **{"from": first.context["next_page"]})
    assert "Page 16." in more.content.decode()
    assert more.headers["X-Next-Page"] == "31"
    last = send(client, "get", "pages", document.pk, **{"from": 490})
    assert last.headers["X-Next-Page"] == ""


def test_a_citation_opens_the_version_it_was_made_from(owner: User) -> None:
    document = served(owner, "The old text.")
    old = document.active_version
    assert old is not None
    document.active_version = served_version(document, ["The new text."])
    document.save(update_fields=["active_version"])
    client = signed_in(owner)
    answer = send(client, "get", "detail", document.pk, version=str(old.pk))
    assert shown(answer) == [[("The old text.", False)]]
    assert not answer.context["is_current_version"]
    strange = served(owner).active_version
    assert strange is not None
    for version in (str(strange.pk), "none"):
        assert send(client, "get", "detail", document.pk, version=version).status_code == 404


def test_what_a_document_says_is_text_not_markup(owner: User) -> None:
    document = served(owner, "<script>alert(1)</script>", name="<b>x</b>.pdf")
    page = send(signed_in(owner), "get", "detail", document.pk).content.decode()
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


@pytest.mark.parametrize(
    "query", [{"start": "-1", "end": "x"}, {"page": "9" * 30}, {"start": "9", "end": "5"}]
)
def test_forged_places_do_no_harm(owner: User, query: dict[str, str]) -> None:
    document = served(owner)
    assert send(signed_in(owner), "get", "detail", document.pk, **query).status_code == 200


def test_a_document_still_being_read_has_a_page(owner: User) -> None:
    document = uploaded(owner)
    answer = send(signed_in(owner), "get", "detail", document.pk)
    assert answer.context["pages"] == []
    assert answer.context["document"].status == "WAITING"


@pytest.mark.django_db(transaction=True)
async def test_the_original_is_a_download(owner: User) -> None:
    document = await sync_to_async(uploaded)(owner, "<p>Hi.</p>" * 60_000, "página.html")
    client = AsyncClient()
    await client.aforce_login(owner)
    answer = await client.get(reverse("documents:original", args=[document.pk]))
    content = b"".join([piece async for piece in answer.streaming_content])
    assert content == b"<p>Hi.</p>" * 60_000
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
