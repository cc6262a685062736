"""Makes documents: uploaded through the services, or already read and served."""

import hashlib
from collections.abc import Sequence

from django.core.files.base import ContentFile

from apps.accounts.models import Audience, Department, User
from apps.accounts.services import audience_of_user, paying_department
from apps.core.ids import uuid7
from apps.documents import services
from apps.documents.lexical import index_version
from apps.documents.models import Document, DocumentVersion, IngestRun, Page, Passage
from apps.documents.splitting import PAGE_SEPARATOR, join_pages, split_passages
from apps.documents.types import Sharing, Visibility
from apps.llm.tokens import count_embedding_tokens

ONLY_ME = Visibility(Sharing.ME)


def uploaded(
    owner: User,
    content: bytes | str = "Annual leave is 28 days.",
    name: str = "policy.txt",
    *,
    visibility: Visibility = ONLY_ME,
    department: Department | None = None,
    tags: Sequence[str] = (),
) -> Document:
    """Return a document just uploaded, its run waiting."""
    raw = content.encode() if isinstance(content, str) else content
    return services.upload(
        owner=owner,
        file=ContentFile(raw, name=name),
        name=name,
        visibility=visibility,
        paying_department=department or paying_department(owner),
        tags=tags,
    )


def served(
    owner: User,
    *pages: str,
    name: str = "policy.pdf",
    audience: Audience | None = None,
    content_type: str = "application/pdf",
    tags: Sequence[str] = (),
) -> Document:
    """Return a document that was read and is found by its words; it has no file and no vectors."""
    texts = pages or ("Annual leave is 28 days.",)
    audience = audience or audience_of_user(owner)
    document = Document.objects.create(
        owner=owner,
        audience=audience,
        paying_department=paying_department(owner),
        name=name,
        content_type=content_type,
        size_bytes=100,
        sha256=hashlib.sha256(uuid7().bytes).hexdigest(),
        tags=list(tags),
        status=Document.Status.READY,
    )
    document.active_version = served_version(document, texts)
    document.save(update_fields=["active_version"])
    return document


def served_version(document: Document, texts: Sequence[str]) -> DocumentVersion:
    """Return a version of these pages that is served."""
    placed = join_pages(list(enumerate(texts, start=1)))
    text = PAGE_SEPARATOR.join(texts)
    version = DocumentVersion.objects.create(
        document=document,
        number=document.versions.count() + 1,
        page_count=len(placed),
        character_count=len(text),
    )
    IngestRun.objects.create(document=document, version=version, state=IngestRun.State.DONE)
    Page.objects.bulk_create(
        Page(version=version, number=page.number, start_offset=page.start_offset, text=page.text)
        for page in placed
    )
    Passage.objects.bulk_create(
        Passage(
            version=version,
            audience=document.audience,
            ordinal=ordinal,
            page_number=span.page_number,
            start_offset=span.start_offset,
            end_offset=span.end_offset,
            text=text[span.start_offset : span.end_offset],
            content_hash=hashlib.sha256(
                text[span.start_offset : span.end_offset].encode()
            ).digest(),
            is_serving=True,
        )
        for ordinal, span in enumerate(split_passages(placed, count_tokens=count_embedding_tokens))
    )
    index_version(version.pk)
    return version
