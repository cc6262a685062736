"""Each URL for its owner, a reader, an outsider and nobody; what the pages are given; how many queries they take."""

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Membership, User
from apps.accounts.services import audience_of_department, everyone, paying_department
from apps.documents.models import Document, IngestRun
from tests.documents import files
from tests.factories.accounts import MembershipFactory
from tests.factories.documents import served, served_version, uploaded

pytestmark = pytest.mark.django_db

OF_ONE = [
    ("get", "detail"),
    ("get", "pages"),
    ("get", "original"),
    ("post", "update"),
    ("post", "delete"),
    ("post", "reindex"),
    ("post", "retry"),
]
OF_ALL = [("get", "list"), ("post", "upload"), ("get", "people"), ("get", "events")]


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def send(client: Client, method: str, name: str, /, *arguments: Any, **data: Any) -> Any:
    return getattr(client, method)(reverse(f"documents:{name}", args=arguments), data)


@pytest.mark.parametrize(("method", "name"), OF_ONE)
def test_somebody_elses_document_is_not_found(
    owner: User, outsider: User, method: str, name: str
) -> None:
    document = uploaded(owner)
    assert send(signed_in(outsider), method, name, document.pk).status_code == 404
    assert Document.objects.filter(pk=document.pk).exists()


@pytest.mark.parametrize(("method", "name"), OF_ONE[3:])
def test_a_reader_changes_nothing(owner: User, outsider: User, method: str, name: str) -> None:
    document = served(owner, audience=everyone())
    assert send(signed_in(outsider), method, name, document.pk).status_code == 404


@pytest.mark.parametrize(("method", "name"), [*OF_ONE, *OF_ALL])
def test_nobody_is_asked_to_sign_in(client: Client, owner: User, method: str, name: str) -> None:
    arguments = [uploaded(owner).pk] if (method, name) in OF_ONE else []
    answer = send(client, method, name, *arguments)
    assert answer.status_code == 302
    assert answer.url.startswith("/account/login/")


def test_a_head_manages_what_is_shared_with_the_department(
    owner: User, colleague: User, outsider: User
) -> None:
    department = paying_department(owner)
    document = served(owner, audience=audience_of_department(department))
    assert send(signed_in(colleague), "post", "delete", document.pk).status_code == 404
    MembershipFactory(user=outsider, department=department, role=Membership.Role.HEAD)
    answer = send(signed_in(outsider), "post", "update", document.pk, tags="rules")
    assert answer.json()["tags"] == ["rules"]


def test_an_upload_answers_with_the_new_document(owner: User, outsider: User) -> None:
    answer = send(
        signed_in(owner),
        "post",
        "upload",
        file=SimpleUploadedFile("policy.txt", b"Leave is 28 days."),
        visibility="PEOPLE",
        people=[str(outsider.pk)],
        tags="HR, leave",
    )
    assert answer.status_code == 201
    document = Document.objects.visible_to(outsider).get()
    assert answer.json() == {
        "id": str(document.pk),
        "url": f"/documents/{document.pk}/",
        "name": "policy.txt",
        "status": "WAITING",
        "status_label": "Waiting",
    }
    assert document.tags == ["hr", "leave"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.pdf", files.encrypted_pdf(), "encrypted"),
        ("a.txt", b"", "empty"),
        ("a.exe", b"MZ", "unsupported"),
        ("a.docx", files.bomb(), "bomb"),
    ],
)
def test_a_refusal_names_its_reason(owner: User, name: str, content: bytes, code: str) -> None:
    answer = send(
        signed_in(owner), "post", "upload", file=SimpleUploadedFile(name, content), visibility="ME"
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert len(answer.json()["error"]["message"]) > 10


@pytest.mark.parametrize(
    "data", [{"visibility": "DEPARTMENT"}, {"visibility": "PEOPLE"}, {"visibility": "WORLD"}, {}]
)
def test_an_incomplete_choice_of_readers_is_refused(owner: User, data: dict[str, str]) -> None:
    file = SimpleUploadedFile("a.txt", b"Text.")
    answer = send(signed_in(owner), "post", "upload", file=file, **data)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid"


def test_anothers_department_cannot_pay(owner: User, outsider: User) -> None:
    answer = send(
        signed_in(owner),
        "post",
        "upload",
        file=SimpleUploadedFile("a.txt", b"Text."),
        visibility="ME",
        paying_department=str(paying_department(outsider).pk),
    )
    assert answer.status_code == 400


def names(answer: Any) -> list[str]:
    return [row.name for row in answer.context["rows"]]


def test_the_list_shows_what_one_may_read_newest_first(owner: User, outsider: User) -> None:
    served(owner, name="mine.pdf")
    served(outsider, name="theirs.pdf")
    served(outsider, name="shared.pdf", audience=everyone())
    assert names(send(signed_in(owner), "get", "list")) == ["shared.pdf", "mine.pdf"]


def test_the_list_is_filtered(owner: User) -> None:
    served(owner, name="Leave policy.pdf", tags=["hr"])
    served(owner, name="Price list.pdf", tags=["sales"])
    uploaded(owner, name="waiting.txt")
    client = signed_in(owner)
    assert names(send(client, "get", "list", q="POLICY")) == ["Leave policy.pdf"]
    assert names(send(client, "get", "list", tag="sales")) == ["Price list.pdf"]
    assert names(send(client, "get", "list", status="WAITING")) == ["waiting.txt"]
    assert names(send(client, "get", "list", q="%_")) == []
    assert send(client, "get", "list").context["tags"] == ["hr", "sales"]


def test_the_list_goes_on_where_it_ended(owner: User) -> None:
    for number in range(53):
        served(owner, name=f"{number}.pdf")
    client = signed_in(owner)
    first = send(client, "get", "list")
    second = send(client, "get", "list", partial=1, after=first.context["next_cursor"])
    assert (len(names(first)), len(names(second))) == (50, 3)
    assert not set(names(first)) & set(names(second))
    assert second.context["next_cursor"] == ""
    assert len(names(send(client, "get", "list", after="forged"))) == 50


@pytest.mark.parametrize("count", [2, 20])
def test_the_list_takes_as_many_queries_for_many_documents(
    owner: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(count):
        served(owner)
    client = signed_in(owner)
    send(client, "get", "list")
    with django_assert_num_queries(6):
        send(client, "get", "list", partial=1)


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


def test_only_what_is_sent_changes(owner: User) -> None:
    document = served(owner, name="old.pdf", tags=["kept"])
    client = signed_in(owner)
    assert send(client, "post", "update", document.pk, name="new name").json()["name"] == "new name"
    answer = send(client, "post", "update", document.pk, visibility="EVERYONE").json()
    assert answer == {
        "id": str(document.pk),
        "name": "new name",
        "tags": ["kept"],
        "visibility": "EVERYONE",
        "visibility_label": "Everyone",
    }
    assert send(client, "post", "update", document.pk, name="").status_code == 400
    assert send(client, "post", "update", document.pk, tags="").json()["tags"] == []


def test_a_document_is_deleted(owner: User) -> None:
    client, first, second = signed_in(owner), served(owner), served(owner)
    answer = client.post(
        reverse("documents:delete", args=[first.pk]), headers={"Accept": "application/json"}
    )
    assert answer.json() == {"url": "/documents/"}
    assert send(client, "post", "delete", second.pk).status_code == 302
    assert not Document.objects.exists()


def test_a_document_is_read_again_once_at_a_time(owner: User) -> None:
    client, document = signed_in(owner), served(owner)
    assert send(client, "post", "reindex", document.pk).json()["status"] == "WAITING"
    assert send(client, "post", "reindex", document.pk).status_code == 409


def test_a_failed_run_is_retried(owner: User) -> None:
    client, document = signed_in(owner), uploaded(owner)
    assert send(client, "post", "retry", document.pk).status_code == 409
    document.runs.update(state=IngestRun.State.FAILED, error_code="gave_up")
    assert send(client, "post", "retry", document.pk).json()["status"] == "WAITING"


def test_colleagues_are_found_by_name_or_address(
    owner: User, colleague: User, outsider: User
) -> None:
    client = signed_in(owner)
    found = send(client, "get", "people", q="colleag").json()["people"]
    assert found == [
        {"id": str(colleague.pk), "name": "Colleague", "email": "colleague@example.org"}
    ]
    everybody = send(client, "get", "people").json()["people"]
    assert {person["email"] for person in everybody} == {
        "colleague@example.org",
        "outsider@example.org",
    }


async def streamed(user: User, *ids: object) -> list[tuple[str, dict[str, Any]]]:
    client = AsyncClient()
    await client.aforce_login(user)
    url = reverse("documents:events")
    answer = await client.get(url, {"ids": ",".join(str(one) for one in ids)})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    text = "".join([chunk.decode() async for chunk in answer.streaming_content])
    events = [event.split("\n") for event in text.split("\n\n") if event]
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in events
    ]


@pytest.mark.django_db(transaction=True)
async def test_events_tell_each_change_and_end(owner: User) -> None:
    ready = await sync_to_async(served)(owner)
    failed = await sync_to_async(uploaded)(owner)
    await failed.runs.aupdate(
        state=IngestRun.State.FAILED, error_code="no_text", finished_at=timezone.now()
    )
    await Document.objects.filter(pk=failed.pk).aupdate(status=Document.Status.FAILED)
    events = await streamed(owner, ready.pk, failed.pk)
    assert events[-1] == ("end", {})
    told = {data["id"]: data for name, data in events if name == "status"}
    assert told[str(ready.pk)]["status"] == "READY"
    assert told[str(failed.pk)]["status"] == "FAILED"
    assert "no text" in told[str(failed.pk)]["reason"]
    assert told[str(failed.pk)]["can_retry"] is False


@pytest.mark.django_db(transaction=True)
async def test_events_of_somebody_elses_document_say_nothing(owner: User, outsider: User) -> None:
    document = await sync_to_async(uploaded)(owner)
    assert await streamed(outsider, document.pk) == [("end", {})]


@pytest.mark.django_db(transaction=True)
async def test_events_of_no_documents_are_refused(owner: User) -> None:
    client = AsyncClient()
    await client.aforce_login(owner)
    answer = await client.get(reverse("documents:events"), {"ids": "x"})
    assert answer.status_code == 400
