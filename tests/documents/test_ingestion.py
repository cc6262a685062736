"""From file to index: every step cut off and resumed, equal text embedded once, the old version serving meanwhile."""

import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.models import Purpose, UsageRecord
from apps.documents import ingestion, reasons, runs, services, storage, tasks
from apps.documents.models import Document, IngestRun, Page, Passage, PassageEmbedding
from apps.documents.progress import read_progress
from apps.documents.types import Sharing, Visibility
from apps.llm.models import Route
from tests.documents import files
from tests.factories.documents import uploaded
from tests.factories.llm import route_to
from tests.fake_provider import FakeProvider

pytestmark = pytest.mark.django_db(transaction=True)

LONG_TEXT = "\n\n".join(
    " ".join(
        f"In section {section} rule {rule} says what applies to case {section * rule}."
        for rule in range(30)
    )
    for section in range(30)
)


@pytest.fixture
def embedder(fake_provider: FakeProvider, db: None) -> FakeProvider:
    """An embedding model behind real HTTP."""
    route_to(fake_provider, Route.Use.EMBEDDING)
    return fake_provider


def ingested(document: Document) -> Document:
    ingestion.run(document.runs.latest("created_at").pk)
    document.refresh_from_db()
    return document


def embedded_texts(provider: FakeProvider) -> Counter[str]:
    return Counter(text for request in provider.requests for text in request.body["input"])


def facts(document: Document) -> list[tuple[Any, ...]]:
    """What the passages of a document are, whichever run made them."""
    return [
        (
            p.ordinal,
            p.page_number,
            p.start_offset,
            p.end_offset,
            p.text,
            p.is_serving,
            p.embeddings.count(),
        )
        for p in Passage.objects.filter(version__document=document).order_by("ordinal")
    ]


def test_a_document_becomes_passages_with_exact_offsets_and_vectors(
    owner: User, embedder: FakeProvider
) -> None:
    document = ingested(
        uploaded(owner, files.pdf("Leave is 28 days.", "Sick pay lasts 10 weeks."), "policy.pdf")
    )
    assert document.status == Document.Status.READY
    version = document.active_version
    assert version is not None
    assert version.page_count == 2
    text = "\n\n".join(
        Page.objects.filter(version=version).order_by("number").values_list("text", flat=True)
    )
    assert version.character_count == len(text)
    passages = list(version.passages.order_by("ordinal"))
    assert [passage.page_number for passage in passages] == [1, 2]
    for passage in passages:
        assert passage.text == text[passage.start_offset : passage.end_offset]
        assert passage.is_serving
        assert passage.embeddings.count() == 1
    run = document.runs.get()
    assert (run.state, run.done_count, run.total_count) == (IngestRun.State.DONE, 2, 2)


def test_the_cost_of_a_run_is_that_of_its_usage_records(
    owner: User, embedder: FakeProvider
) -> None:
    document = ingested(uploaded(owner, LONG_TEXT))
    records = UsageRecord.objects.filter(purpose=Purpose.DOCUMENT_EMBEDDING)
    assert records.count() > 1
    assert {record.department_id for record in records} == {document.paying_department_id}
    assert document.runs.get().cost_nanos == sum(record.amount_nanos for record in records)


def test_equal_text_is_embedded_once(owner: User, colleague: User, embedder: FakeProvider) -> None:
    twice = "The same page stands here twice."
    ingested(uploaded(owner, files.pdf(twice, twice, "And another."), "a.pdf"))
    ingested(uploaded(colleague, files.pdf(twice, "And a third."), "b.pdf"))
    assert set(embedded_texts(embedder).values()) == {1}
    assert PassageEmbedding.objects.count() == Passage.objects.count() == 5


def test_equal_text_is_embedded_once_by_workers_at_the_same_time(
    owner: User, embedder: FakeProvider
) -> None:
    documents = [uploaded(owner, LONG_TEXT, f"{n}.txt") for n in range(2)]

    def work(document: Document) -> None:
        try:
            ingested(document)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[document]) for document in documents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {document.status for document in documents} == {Document.Status.READY}
    assert set(embedded_texts(embedder).values()) == {1}
    assert facts(documents[0]) == facts(documents[1])


PLACES = [
    "EXTRACT begins",
    "EXTRACT done",
    "SPLIT done",
    "EMBED batch",
    "EMBED done",
    "INDEX written",
]


def work_until_killed(run: UUID, place: str) -> None:
    database = connection.settings_dict
    url = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.documents.killed_worker",
            str(run),
            place,
            storage.store().path(""),
        ],
        env=os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "project.settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -9, ended.stderr


def test_a_worker_killed_anywhere_resumes_to_the_same_result(
    owner: User, embedder: FakeProvider
) -> None:
    document = uploaded(owner, LONG_TEXT)
    run = document.runs.get()
    IngestRun.objects.update(attempt_limit=20)
    for place in PLACES:
        work_until_killed(run.pk, place)
        assert not Passage.objects.filter(is_serving=True).exists()
        # Nobody takes a run whose worker might be alive.
        assert runs.claim(run.pk) is None
        IngestRun.objects.update(lease_expires_at=timezone.now())
    ingested(document)
    undisturbed = ingested(uploaded(owner, LONG_TEXT, "undisturbed.txt"))

    assert document.status == Document.Status.READY
    assert facts(document) == facts(undisturbed)
    assert len(facts(document)) > 40
    assert set(embedded_texts(embedder).values()) == {1}
    run.refresh_from_db()
    assert run.attempt_count == len(PLACES) + 1
    assert run.done_count == run.total_count == len(facts(document))


def test_a_worker_that_lost_its_run_changes_nothing(owner: User, embedder: FakeProvider) -> None:
    document = uploaded(owner)
    run = document.runs.get()

    def taken_over(label: str) -> None:
        if label == "SPLIT done":
            IngestRun.objects.update(attempt_count=F("attempt_count") + 1)

    ingestion.run(run.pk, on_step=taken_over)
    run.refresh_from_db()
    assert (run.state, run.step) == (IngestRun.State.RUNNING, IngestRun.Step.EMBED)
    assert not PassageEmbedding.objects.exists()


def test_a_run_without_a_worker_is_found_again(owner: User, embedder: FakeProvider) -> None:
    run = uploaded(owner).runs.get()
    assert not runs.due().exists()
    IngestRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert [found.pk for found in runs.due()] == [run.pk]
    tasks.resume_runs()
    assert not runs.due().exists()


def test_a_run_interrupted_too_often_fails_and_can_be_retried(
    owner: User, embedder: FakeProvider
) -> None:
    document = uploaded(owner)
    IngestRun.objects.update(
        state=IngestRun.State.RUNNING, attempt_count=5, lease_expires_at=timezone.now()
    )
    tasks.resume_runs()
    document.refresh_from_db()
    assert document.status == Document.Status.FAILED
    [found] = read_progress(owner, [document.pk])
    assert (found.reason, found.can_retry) == (reasons.message(reasons.GAVE_UP), True)
    services.retry(document=document)
    assert ingested(document).status == Document.Status.READY


def test_a_provider_that_is_away_is_asked_again_later(owner: User, embedder: FakeProvider) -> None:
    document = uploaded(owner)
    embedder.will_fail(503)
    ingested(document)
    run = document.runs.get()
    assert (run.state, run.error_code) == (IngestRun.State.WAITING, reasons.EMBEDDING_FAILED)
    assert not runs.due().exists()
    assert ingested(document).status == Document.Status.READY


def test_a_provider_that_refuses_fails_the_run(owner: User, embedder: FakeProvider) -> None:
    embedder.will_fail(401)
    document = ingested(uploaded(owner))
    assert document.status == Document.Status.FAILED
    assert document.runs.get().error_code == reasons.EMBEDDING_FAILED


def test_without_a_model_the_run_says_so(owner: User) -> None:
    document = ingested(uploaded(owner))
    assert document.status == Document.Status.FAILED
    assert document.runs.get().error_code == reasons.NO_EMBEDDING_MODEL


def test_a_long_scan_is_found_out_by_the_run(owner: User, embedder: FakeProvider) -> None:
    document = ingested(uploaded(owner, files.scanned_pdf(31), "scan.pdf"))
    assert document.status == Document.Status.FAILED
    assert document.runs.get().error_code == "no_text"


def test_a_lost_original_fails_the_run(owner: User, embedder: FakeProvider) -> None:
    document = uploaded(owner, "Soon gone.")
    storage.store().delete(storage.name_of(document.sha256))
    assert ingested(document).runs.get().error_code == reasons.MISSING_FILE


def test_the_old_version_serves_while_the_new_one_is_built(
    owner: User, embedder: FakeProvider
) -> None:
    document = ingested(uploaded(owner, LONG_TEXT))
    first = document.active_version_id
    services.reindex(document=document)
    seen = []

    def look(_label: str) -> None:
        serving = Passage.objects.filter(is_serving=True).values_list("version_id", flat=True)
        seen.append(set(serving.distinct()))

    ingestion.run(document.runs.latest("created_at").pk, on_step=look)
    document.refresh_from_db()
    assert document.active_version_id != first
    assert seen[:-1] == [{first}] * (len(seen) - 1)
    assert seen[-1] == {document.active_version_id}
    # Citations may point into the old text; it is no longer searched, and nothing was embedded anew.
    assert Page.objects.filter(version_id=first).exists()
    assert not Passage.objects.filter(version_id=first).exists()
    assert set(embedded_texts(embedder).values()) == {1}


def test_a_failed_new_version_leaves_the_old_one_serving(
    owner: User, embedder: FakeProvider
) -> None:
    document = ingested(uploaded(owner))
    before = facts(document)
    services.reindex(document=document)
    storage.store().delete(storage.name_of(document.sha256))
    ingested(document)
    assert document.status == Document.Status.FAILED
    assert facts(document) == before


def test_visibility_changed_during_a_run_holds_for_its_passages(
    owner: User, embedder: FakeProvider
) -> None:
    document = uploaded(owner)

    def share(label: str) -> None:
        if label == "EMBED batch":
            services.change_visibility(
                document=document, by=owner, visibility=Visibility(Sharing.EVERYONE)
            )

    ingestion.run(document.runs.get().pk, on_step=share)
    document.refresh_from_db()
    assert document.status == Document.Status.READY
    assert {passage.audience_id for passage in Passage.objects.all()} == {document.audience_id}


def test_a_document_deleted_during_a_run_stays_deleted(owner: User, embedder: FakeProvider) -> None:
    document = uploaded(owner)

    def delete(label: str) -> None:
        if label == "SPLIT done":
            services.delete(document=document)

    ingestion.run(document.runs.get().pk, on_step=delete)
    assert not Document.objects.exists()
    assert not Passage.objects.exists()


def test_a_deletion_and_a_worker_never_wait_for_each_other(owner: User) -> None:
    document = uploaded(owner)
    run = runs.claim(document.runs.get().pk)
    assert run is not None
    deaths: list[BaseException] = []

    def delete() -> None:
        try:
            services.delete(document=Document.objects.get(pk=document.pk))
        except OperationalError as error:
            deaths.append(error)
        finally:
            connection.close()

    deleting = threading.Thread(target=delete)
    # As a worker does at the end of a step: its run first, then the document.
    with transaction.atomic():
        runs.keep(run)
        deleting.start()
        _wait_for_a_waiting_lock()
        try:
            Document.objects.select_for_update().get(pk=document.pk)
        except OperationalError as error:
            deaths.append(error)
            transaction.set_rollback(True)
    deleting.join()
    assert not deaths
    assert not Document.objects.exists()


def _wait_for_a_waiting_lock() -> None:
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone() != (0,):
                return
