"""How long a PDF of 120 pages takes from upload to answerable, step by step; and the viewer on 500 pages.

Run by `make bench`; prints what it measured.
"""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.documents import ingestion
from apps.documents.models import Document
from apps.llm.registration import register_embedded
from project.demo.builder.long_manual import write_long_manual
from tests.conftest import EmbeddedModels
from tests.factories.documents import served, uploaded

pytestmark = [pytest.mark.benchmark, pytest.mark.django_db(transaction=True)]

PAGE_COUNT = 120


def test_a_long_pdf_is_ingested(
    owner: User, embedded_models: EmbeddedModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_embedded(
        chat_url=embedded_models.chat_url,
        embedding_url=embedded_models.embedding_url,
        key=embedded_models.api_key,
    )
    path = tmp_path / "manual.pdf"
    write_long_manual(path, PAGE_COUNT)
    times = [("start", time.perf_counter())]

    def note(label: str) -> None:
        if label.endswith("done"):
            times.append((label, time.perf_counter()))

    document = uploaded(owner, path.read_bytes(), "manual.pdf")
    note("upload done")
    ingestion.run(document.runs.get().pk, on_step=note)

    document.refresh_from_db()
    assert document.status == Document.Status.READY
    run = document.runs.get()
    with capsys.disabled():
        print(f"\n{PAGE_COUNT} pages, {run.total_count} passages, {run.cost_nanos} nanos")  # noqa: T201 - a benchmark reports
        for (_before, started), (label, ended) in pairwise(times):
            print(f"{label}: {(ended - started) * 1000:.0f} ms")  # noqa: T201 - a benchmark reports


def test_a_long_document_opens(owner: User, capsys: pytest.CaptureFixture[str]) -> None:
    document = served(
        owner, *[f"Page {number}. " + "A sentence of the manual. " * 80 for number in range(500)]
    )
    client = Client()
    client.force_login(owner)
    url = reverse("documents:detail", args=[document.pk])
    client.get(url)
    started = time.perf_counter()
    answer = client.get(url, {"start": 900_000, "end": 900_100})
    elapsed_ms = (time.perf_counter() - started) * 1000
    assert answer.status_code == 200
    with capsys.disabled():
        print(  # noqa: T201 - a benchmark reports
            f"\n500 pages, opened at a passage in {elapsed_ms:.0f} ms, {len(answer.content)} bytes"
        )
