"""What is known of a document, as one frozen value that is the same for every reader; who may have it, `readable` says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from apps.accounts.models import AudienceMember
from apps.caching.keyspaces import Key
from apps.documents import reasons
from apps.documents.models import Document, DocumentVersion, IngestRun
from apps.documents.progress import latest_run, with_latest_run
from apps.documents.querysets import DocumentQuerySet


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A document's latest run, as `progress` tells of it."""

    state: str
    step: str
    done_count: int
    total_count: int
    step_start_count: int
    step_started_at: datetime | None
    cost_nanos: int
    error_code: str
    # Of a run that waits for its budget alone, when that refills: other details are for operators.
    error_detail: str = ""

    @classmethod
    def of(cls, run: IngestRun) -> Self:
        """Return the facts of a run's row."""
        return cls(
            state=run.state,
            step=run.step,
            done_count=run.done_count,
            total_count=run.total_count,
            step_start_count=run.step_start_count,
            step_started_at=run.step_started_at,
            cost_nanos=run.cost_nanos,
            error_code=run.error_code,
            error_detail=run.error_detail if run.error_code == reasons.OVER_BUDGET else "",
        )


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document without its text. Its readers are those of `audience_id`.

    `metadata` is in pairs of name and text. `reader_count` counts named people, 0 for other audiences. `versions` is in
    pairs of id and number of pages; only facts read by id have them. Names of people and departments are not part of
    it: one rename would move as many facts as there are documents.
    """

    id: UUID
    owner_id: UUID
    audience_id: int
    audience_kind: str
    audience_department_id: UUID | None
    audience_user_id: UUID | None
    reader_count: int
    name: str
    content_type: str
    size_bytes: int
    tags: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]
    status: str
    uploaded_at: datetime
    active_version_id: UUID | None
    page_count: int
    versions: tuple[tuple[UUID, int], ...]
    run: RunFacts

    def to_json(self) -> dict[str, Any]:
        """Return the value as JSON holds it."""
        data = {name: getattr(self, name) for name in self.__slots__}
        run = {name: getattr(self.run, name) for name in self.run.__slots__}
        started_at = self.run.step_started_at
        return data | {
            "id": str(self.id),
            "owner_id": str(self.owner_id),
            "audience_department_id": _text(self.audience_department_id),
            "audience_user_id": _text(self.audience_user_id),
            "active_version_id": _text(self.active_version_id),
            "uploaded_at": self.uploaded_at.isoformat(),
            "versions": [[str(pk), page_count] for pk, page_count in self.versions],
            "run": run | {"step_started_at": started_at.isoformat() if started_at else None},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the value of `to_json`'s data."""
        started_at = data["run"]["step_started_at"]
        moment = datetime.fromisoformat(started_at) if started_at else None
        return cls(
            **data
            | {
                "id": UUID(data["id"]),
                "owner_id": UUID(data["owner_id"]),
                "audience_department_id": _id(data["audience_department_id"]),
                "audience_user_id": _id(data["audience_user_id"]),
                "active_version_id": _id(data["active_version_id"]),
                "uploaded_at": datetime.fromisoformat(data["uploaded_at"]),
                "tags": tuple(data["tags"]),
                "metadata": tuple((name, value) for name, value in data["metadata"]),
                "versions": tuple((UUID(pk), count) for pk, count in data["versions"]),
                "run": RunFacts(**data["run"] | {"step_started_at": moment}),
            }
        )


def _text(pk: UUID | None) -> str | None:
    return str(pk) if pk else None


def _id(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def with_facts(documents: DocumentQuerySet) -> DocumentQuerySet:
    """Have all facts but the versions read along, and the names of people and departments."""
    members = (
        AudienceMember.objects.filter(audience=OuterRef("audience"))
        .order_by()
        .values("audience")
        .annotate(count=Count("pk"))
        .values("count")
    )
    return with_latest_run(
        documents.select_related(
            "owner", "audience__department", "audience__user", "active_version"
        ).annotate(member_count=Coalesce(Subquery(members), 0))
    )


def facts_of(document: Document, versions: Sequence[tuple[UUID, int]] = ()) -> DocumentFacts:
    """Return the facts of a document read `with_facts`."""
    audience = document.audience
    return DocumentFacts(
        id=document.pk,
        owner_id=document.owner_id,
        audience_id=audience.pk,
        audience_kind=audience.kind,
        audience_department_id=audience.department_id,
        audience_user_id=audience.user_id,
        reader_count=getattr(document, "member_count", 0),
        name=document.name,
        content_type=document.content_type,
        size_bytes=document.size_bytes,
        tags=tuple(document.tags),
        metadata=tuple((name, str(value)) for name, value in document.metadata.items()),
        status=document.status,
        uploaded_at=document.uploaded_at,
        active_version_id=document.active_version_id,
        page_count=document.active_version.page_count if document.active_version else 0,
        versions=tuple(versions),
        run=RunFacts.of(latest_run(document)),
    )


def read_facts(keys: Sequence[Key]) -> Mapping[Key, DocumentFacts]:
    """Return the facts of documents by `(id,)`, as the database has them; those that are not there are left out."""
    ids = [key[0] for key in keys]
    versions: dict[Any, list[tuple[UUID, int]]] = {}
    documents = list(with_facts(Document.objects.filter(pk__in=ids)))
    # After the documents: the version that serves is among them, whatever is committed meanwhile.
    rows = DocumentVersion.objects.filter(document_id__in=ids).order_by("number")
    for document_id, pk, page_count in rows.values_list("document_id", "pk", "page_count"):
        versions.setdefault(document_id, []).append((pk, page_count))
    return {
        (document.pk,): facts_of(document, versions.get(document.pk, ())) for document in documents
    }
