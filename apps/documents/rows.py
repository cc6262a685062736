"""The list of documents as the page shows it: filters, pagination by place, and one row's facts."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, F, Func, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.accounts.models import Audience, User
from apps.documents.facts import DocumentFacts, facts_of, with_facts
from apps.documents.models import Document
from apps.documents.parsing.kinds import kind_of_content_type
from apps.documents.progress import Progress, progress_of
from apps.documents.types import Sharing

PAGE_SIZE: Final = 50
TAGS_SHOWN: Final = 30
_SHARING = {
    Audience.Kind.EVERYONE: Sharing.EVERYONE,
    Audience.Kind.DEPARTMENT: Sharing.DEPARTMENT,
    Audience.Kind.USER: Sharing.ME,
    Audience.Kind.CUSTOM: Sharing.PEOPLE,
}


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as a list or its own page shows it to one person."""

    id: UUID
    name: str
    url: str
    original_url: str
    content_label: str
    size_bytes: int
    tags: list[str]
    owner_name: str
    is_owner: bool
    can_manage: bool
    visibility: str
    visibility_label: str
    uploaded_at: datetime
    page_count: int
    progress: Progress

    @property
    def status(self) -> str:
        return self.progress.status

    @property
    def status_label(self) -> str:
        return self.progress.status_label

    @property
    def step_label(self) -> str:
        return self.progress.step_label

    @property
    def done(self) -> int:
        return self.progress.done

    @property
    def total(self) -> int:
        return self.progress.total

    @property
    def eta_seconds(self) -> int | None:
        return self.progress.eta_seconds

    @property
    def cost_nanos(self) -> int:
        return self.progress.cost_nanos

    @property
    def reason(self) -> str:
        return self.progress.reason

    @property
    def can_retry(self) -> bool:
        return self.progress.can_retry


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; empty means not."""

    q: str = ""
    tag: str = ""
    status: str = ""


def listed(user: User, filters: Filters, after: str) -> tuple[list[DocumentRow], str]:
    """Return a page of the person's documents, newest first, and where the next begins (empty at the end)."""
    documents = Document.objects.visible_to(user)
    if filters.q:
        documents = documents.filter(name__icontains=filters.q)
    if filters.tag:
        documents = documents.filter(tags__contains=[filters.tag])
    if filters.status in Document.Status.values:
        documents = documents.filter(status=filters.status)
    place = _place(after)
    if place:
        documents = documents.filter(
            Q(uploaded_at__lt=place[0]) | Q(uploaded_at=place[0], pk__lt=place[1])
        )
    found = list(with_facts(documents).order_by("-uploaded_at", "-pk")[: PAGE_SIZE + 1])
    rows = rows_of(user, found[:PAGE_SIZE])
    return rows, _cursor(found[PAGE_SIZE - 1]) if len(found) > PAGE_SIZE else ""


def rows_of(user: User, documents: Sequence[Document]) -> list[DocumentRow]:
    """Return the rows of documents read `with_facts`."""
    headed = set(user.memberships.heads().values_list("department_id", flat=True))
    return [
        row_of(
            user,
            facts_of(document),
            headed=headed,
            names={
                document.owner_id: str(document.owner),
                document.audience.department_id: str(document.audience.department),
                document.audience.user_id: str(document.audience.user),
            },
        )
        for document in documents
    ]


def row_of(
    user: User,
    facts: DocumentFacts,
    *,
    headed: Collection[UUID],
    names: Mapping[UUID | None, str],
) -> DocumentRow:
    """Return the row of a document for a person who heads these departments, with the names of those it tells of."""
    is_owner = facts.owner_id == user.pk
    return DocumentRow(
        id=facts.id,
        name=facts.name,
        url=reverse("documents:detail", args=[facts.id]),
        original_url=reverse("documents:original", args=[facts.id]),
        content_label=kind_of_content_type(facts.content_type).label,
        size_bytes=facts.size_bytes,
        tags=list(facts.tags),
        owner_name=names.get(facts.owner_id, ""),
        is_owner=is_owner,
        can_manage=is_owner or facts.audience_department_id in headed,
        visibility=_SHARING[Audience.Kind(facts.audience_kind)].value,
        visibility_label=_visibility_label(facts, names, is_owner=is_owner),
        uploaded_at=facts.uploaded_at,
        page_count=facts.page_count,
        progress=progress_of(
            document_id=facts.id, status=facts.status, run=facts.run, now=timezone.now()
        ),
    )


def _visibility_label(
    facts: DocumentFacts, names: Mapping[UUID | None, str], *, is_owner: bool
) -> str:
    """Return in a word or two who reads the document."""
    if facts.audience_kind == Audience.Kind.EVERYONE:
        return _("Everyone")
    if facts.audience_kind == Audience.Kind.USER:
        return _("Only me") if is_owner else names.get(facts.audience_user_id, "")
    if facts.audience_kind == Audience.Kind.CUSTOM:
        count = facts.reader_count
        return ngettext("%(count)d person", "%(count)d people", count) % {"count": count}
    return names.get(facts.audience_department_id, "")


def visible_tags(user: User) -> list[str]:
    """Return the tags of the documents a person may read, the most used first."""
    tags = (
        Document.objects.visible_to(user)
        .exclude(tags=[])
        .annotate(tag=Func(F("tags"), function="unnest"))
        .values("tag")
        .annotate(count=Count("pk"))
        .order_by("-count", "tag")
    )
    return [row["tag"] for row in tags[:TAGS_SHOWN]]


def _cursor(document: Document) -> str:
    return urlsafe_b64encode(f"{document.uploaded_at.isoformat()} {document.pk}".encode()).decode()


def _place(cursor: str) -> tuple[datetime, UUID] | None:
    """Return the place a cursor names; None, so the first page, for none or a forged one."""
    try:
        moment, key = urlsafe_b64decode(cursor.encode()).decode().split(" ")
        place = datetime.fromisoformat(moment), UUID(key)
    except ValueError:
        return None
    return place if place[0].tzinfo else None
