"""What people change: uploads and their refusals, details, reading anew, deleting."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.accounts.models import User
from apps.accounts.services import paying_department
from apps.documents.models import Document, IngestRun
from tests.documents import files
from tests.documents.views.asking import send, signed_in
from tests.factories.documents import served, uploaded

pytestmark = pytest.mark.django_db


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
