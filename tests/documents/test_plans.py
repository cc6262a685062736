"""The indexes the list and the runs rely on are used."""

import pytest
from django.db import connection
from django.db.models import QuerySet

from apps.accounts.models import User
from apps.documents import runs
from apps.documents.models import Document, IngestRun, PassageEmbedding
from tests.factories.documents import served

pytestmark = pytest.mark.django_db


def plan(queryset: QuerySet) -> str:
    """Return the plan with sequential scans made dear, for the test's tables are small."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    return queryset.explain()


def test_queries_find_their_indexes(owner: User) -> None:
    document = served(owner)
    in_list = Document.objects.filter(audience=document.audience_id).order_by("-uploaded_at", "-pk")
    assert "document_audience_uploaded" in plan(in_list[:50])
    assert "document_name_trigrams" in plan(Document.objects.filter(name__icontains="policy"))
    assert "document_tags" in plan(Document.objects.filter(tags__contains=["hr"]))
    assert "document_sha256" in plan(Document.objects.filter(sha256="ab" * 32))
    assert "unfinished" in plan(runs.due().order_by())
    assert "run_document_created" in plan(
        IngestRun.objects.filter(document=document).order_by("-created_at")[:1]
    )
    known = PassageEmbedding.objects.filter(llm_model_id=document.pk, content_hash=b"x")
    assert "embedding_content" in plan(known)
