"""A document that is being cited is deleted after the citation is stored, not between its check and the commit."""

import threading

import pytest
from django.db import connection, connections, transaction

from apps.accounts.models import User
from apps.chat.models import Citation
from apps.documents import services
from apps.documents.locks import hold_documents
from apps.documents.models import Document
from tests.caching.waiting import until
from tests.factories.chat import ConversationFactory, ReplyFactory
from tests.factories.documents import served

pytestmark = pytest.mark.django_db(transaction=True)


def _is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        [waits] = cursor.fetchone()
    return bool(waits)


def _delete(document: Document) -> None:
    try:
        services.delete(document=document)
    finally:
        connections.close_all()


def test_a_deletion_waits_for_the_citation_and_then_takes_it_along(owner: User) -> None:
    document = served(owner)
    reply = ReplyFactory(conversation=ConversationFactory(user=owner))
    deleting = threading.Thread(target=_delete, args=(document,))
    with transaction.atomic():
        assert hold_documents([str(document.pk)]) == {str(document.pk)}
        deleting.start()
        until(_is_somebody_waiting)
        citation = Citation.objects.create(
            message=reply, number=1, document=document, page_number=1, start_offset=0, end_offset=1
        )
    deleting.join()
    citation.refresh_from_db()
    assert citation.document_id is None
    assert not Document.objects.exists()


def test_what_is_gone_is_not_held(owner: User) -> None:
    document = served(owner)
    services.delete(document=document)
    with transaction.atomic():
        assert hold_documents([str(document.pk)]) == set()
        assert hold_documents([]) == set()
