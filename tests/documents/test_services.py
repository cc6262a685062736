"""Uploads, sharing, deletion: what is kept, what is refused, who reads."""

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from apps.accounts.models import Audience, User
from apps.accounts.services import everyone, paying_department
from apps.documents import services, storage
from apps.documents.models import Document, IngestRun, Passage
from apps.documents.parsing.types import Refusal, RefusedError
from apps.documents.tasks import ingest
from apps.documents.types import Sharing, Visibility
from apps.tuning import live
from apps.tuning import services as tuning
from tests.documents import files
from tests.factories.accounts import DepartmentFactory
from tests.factories.documents import served, uploaded

pytestmark = pytest.mark.django_db
CallbackCatcher = Callable[..., Any]


def stored() -> set[str]:
    return set(storage._names())


def test_an_upload_is_stored_and_waits_for_a_worker(
    owner: User, django_capture_on_commit_callbacks: CallbackCatcher
) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        document = uploaded(owner, "Leave is 28 days.", tags=["HR", " hr ", "Leave  policy"])
    assert [one.func for one in callbacks].count(ingest.delay) == 1
    assert document.status == Document.Status.WAITING
    assert document.tags == ["hr", "leave policy"]
    assert document.content_type == "text/plain"
    run = document.runs.get()
    assert (run.state, run.version.number) == (IngestRun.State.WAITING, 1)
    with storage.open_original(document.sha256) as file:
        assert file.read() == b"Leave is 28 days."


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.pdf", files.encrypted_pdf(), Refusal.ENCRYPTED),
        ("a.pdf", files.pdf("A.")[:300], Refusal.DAMAGED),
        ("a.docx", files.docx("A.")[:300], Refusal.DAMAGED),
        ("a.txt", b"", Refusal.EMPTY),
        ("a.pdf", files.scanned_pdf(), Refusal.NO_TEXT),
        ("a.pdf", files.docx("A."), Refusal.WRONG_TYPE),
        ("a.docx", files.xlsx(A=[["a"]]), Refusal.WRONG_TYPE),
        ("a.exe", b"MZ", Refusal.UNSUPPORTED),
        ("a.docx", files.bomb(), Refusal.BOMB),
        ("a.docx", files.lying_bomb(), Refusal.BOMB),
        ("..", b"text", Refusal.BAD_NAME),
        ("a\x00.txt", b"text", Refusal.BAD_NAME),
        ("fdp\u202etxt.exe.txt", b"text", Refusal.BAD_NAME),
        ("x" * 300 + ".txt", b"text", Refusal.BAD_NAME),
    ],
)
def test_a_refused_file_leaves_nothing_behind(
    owner: User, name: str, content: bytes, code: Refusal
) -> None:
    before = stored()
    with pytest.raises(RefusedError) as caught:
        uploaded(owner, content, name)
    assert caught.value.code is code
    assert not Document.objects.exists()
    assert stored() == before


def test_half_a_copy_left_by_a_killed_process_is_replaced(owner: User) -> None:
    content = b"Leave is 28 days."
    digest = hashlib.sha256(content).hexdigest()
    storage.store().save(storage.name_of(digest), ContentFile(content[:5]))
    document = uploaded(owner, content)
    with storage.open_original(document.sha256) as file:
        assert file.read() == content
    services.delete(document=document)


def test_the_size_limit_is_live(owner: User) -> None:
    tuning.change(values={"documents.upload_max_bytes": 1024}, author_id=None)
    live.forget()
    try:
        with pytest.raises(RefusedError) as caught:
            uploaded(owner, b"a" * 1025)
    finally:
        live.forget()
    assert caught.value.code is Refusal.TOO_LARGE


@pytest.mark.parametrize(
    "name",
    ["../../etc/policy.txt", "..\\..\\policy.txt", "C:\\files\\policy.txt", "/etc/policy.txt"],
)
def test_folders_in_a_name_go(owner: User, name: str) -> None:
    assert uploaded(owner, name=name).name == "policy.txt"


def test_a_person_charges_only_their_own_departments(owner: User) -> None:
    with pytest.raises(services.NotAllowedError):
        uploaded(owner, department=DepartmentFactory())


def test_a_person_shares_only_with_their_own_departments(owner: User) -> None:
    with pytest.raises(services.NotAllowedError):
        uploaded(owner, visibility=Visibility(Sharing.DEPARTMENT, department=DepartmentFactory()))


def test_equal_files_are_kept_once_and_go_with_the_last(
    owner: User, colleague: User, django_capture_on_commit_callbacks: CallbackCatcher
) -> None:
    first, second = uploaded(owner, "Same."), uploaded(colleague, "Same.")
    assert first.sha256 == second.sha256
    with django_capture_on_commit_callbacks(execute=True):
        services.delete(document=first)
    assert first.sha256 in stored()
    with django_capture_on_commit_callbacks(execute=True):
        services.delete(document=second)
    assert first.sha256 not in stored()


def test_files_without_a_document_are_swept(owner: User) -> None:
    kept = uploaded(owner, "Kept.")
    orphan = "ab" * 32
    storage.put(io.BytesIO(b"Left by a killed process."), orphan)
    storage.sweep(older_than=timezone.now() - timedelta(hours=1))
    assert orphan in stored()
    assert storage.sweep(older_than=timezone.now() + timedelta(seconds=5)) >= 1
    assert orphan not in stored()
    assert kept.sha256 in stored()


def readers(document: Document, *people: User) -> list[User]:
    return [
        person
        for person in people
        if Document.objects.visible_to(person).filter(pk=document.pk).exists()
        and Passage.objects.filter(
            version__document=document,
            audience__in=Audience.objects.readable_by(person),
        ).exists()
    ]


def test_visibility_changes_at_once_for_passages_too(
    owner: User, colleague: User, outsider: User
) -> None:
    document = served(owner)
    everybody = (owner, colleague, outsider)
    assert readers(document, *everybody) == [owner]
    for visibility, expected in [
        (Visibility(Sharing.EVERYONE), [owner, colleague, outsider]),
        (Visibility(Sharing.DEPARTMENT, department=paying_department(owner)), [owner, colleague]),
        (Visibility(Sharing.PEOPLE, people=[outsider]), [owner, outsider]),
        (Visibility(Sharing.PEOPLE, people=[colleague]), [owner, colleague]),
        (Visibility(Sharing.ME), [owner]),
    ]:
        services.change_visibility(document=document, by=owner, visibility=visibility)
        assert readers(document, *everybody) == expected
    assert not Audience.objects.filter(kind=Audience.Kind.CUSTOM).exists()


def test_a_change_of_visibility_moves_both_generations(owner: User) -> None:
    document = served(owner)
    before = {audience.pk: audience.generation for audience in (document.audience, everyone())}
    services.change_visibility(document=document, by=owner, visibility=Visibility(Sharing.EVERYONE))
    after = dict(Audience.objects.filter(pk__in=before).values_list("pk", "generation"))
    assert all(after[key] > before[key] for key in before)


def test_named_people_go_with_their_document(owner: User, outsider: User) -> None:
    document = served(owner)
    services.change_visibility(
        document=document, by=owner, visibility=Visibility(Sharing.PEOPLE, people=[outsider])
    )
    services.delete(document=document)
    assert not Audience.objects.filter(kind=Audience.Kind.CUSTOM).exists()
    assert not Passage.objects.exists()


def test_a_second_run_is_refused_while_one_is_under_way(owner: User) -> None:
    document = uploaded(owner)
    with pytest.raises(services.BusyError):
        services.reindex(document=document)


def test_only_a_failed_run_that_could_go_well_is_retried(owner: User) -> None:
    document = uploaded(owner)
    with pytest.raises(services.NotRetryableError):
        services.retry(document=document)
    document.runs.update(state=IngestRun.State.FAILED, error_code=Refusal.DAMAGED)
    with pytest.raises(services.NotRetryableError):
        services.retry(document=document)
    document.runs.update(error_code="gave_up", attempt_count=5)
    run = services.retry(document=document)
    assert (run.state, run.attempt_limit) == (IngestRun.State.WAITING, 10)


def test_a_file_with_a_real_name_in_the_store_is_not_written_twice(owner: User) -> None:
    document = uploaded(owner, "Once.")
    path = Path(storage.store().path(storage.name_of(document.sha256)))
    written_at = path.stat().st_mtime_ns
    storage.put(ContentFile(b"Once."), document.sha256)
    assert path.stat().st_mtime_ns == written_at
