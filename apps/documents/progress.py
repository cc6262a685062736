"""How far documents are, for the pages that show it live."""

import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.db.models import Prefetch
from django.utils import timezone

from apps.accounts.models import User
from apps.core.money import format_nanos
from apps.documents import reasons
from apps.documents.models import Document, IngestRun
from apps.documents.querysets import DocumentQuerySet

UNFINISHED = (Document.Status.WAITING, Document.Status.READING)


class Run(Protocol):
    """What progress is told from: a run's row, or its facts."""

    @property
    def state(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def done_count(self) -> int: ...
    @property
    def total_count(self) -> int: ...
    @property
    def step_start_count(self) -> int: ...
    @property
    def step_started_at(self) -> datetime | None: ...
    @property
    def cost_nanos(self) -> int: ...
    @property
    def error_code(self) -> str: ...
    @property
    def error_detail(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """What a person may know of a document's latest run."""

    id: str
    status: str
    status_label: str
    step: str
    step_label: str
    done: int
    total: int
    eta_seconds: int | None
    cost_nanos: int
    cost: str
    reason: str
    can_retry: bool

    @property
    def is_finished(self) -> bool:
        """Say whether nothing more will change by itself."""
        return self.status not in UNFINISHED

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def with_latest_run(documents: DocumentQuerySet) -> DocumentQuerySet:
    """Have each document's latest run read along: one more query however many documents."""
    latest = IngestRun.objects.order_by("document_id", "-created_at").distinct("document_id")
    return documents.prefetch_related(Prefetch("runs", queryset=latest, to_attr="latest_runs"))


def latest_run(document: Document) -> IngestRun:
    """Return the run of a document read `with_latest_run`; an empty one where it has none."""
    found: list[IngestRun] = getattr(document, "latest_runs", [])
    return found[0] if found else IngestRun()


def progress_of(*, document_id: UUID, status: str, run: Run, now: datetime) -> Progress:
    """Return the progress of a document by its latest run."""
    is_at_work = run.state == IngestRun.State.RUNNING
    code = run.error_code if status == Document.Status.FAILED else ""
    is_over_budget = status == Document.Status.WAITING and run.error_code == reasons.OVER_BUDGET
    return Progress(
        id=str(document_id),
        status=status,
        status_label=str(Document.Status(status).label),
        step=run.step if is_at_work else "",
        step_label=str(IngestRun.Step(run.step).label) if is_at_work else "",
        done=run.done_count,
        total=run.total_count,
        eta_seconds=_eta_seconds(run, now) if is_at_work else None,
        cost_nanos=run.cost_nanos,
        cost=format_nanos(run.cost_nanos),
        # All who may read the document see it: when the budget refills, but not how much of it is spent.
        reason=reasons.waiting_for_budget(run.error_detail)
        if is_over_budget
        else reasons.message(code),
        can_retry=bool(code) and reasons.can_retry(code),
    )


def _eta_seconds(run: Run, now: datetime) -> int | None:
    """Return the seconds left at the rate measured since this worker began the step; None before the first result."""
    done = run.done_count - run.step_start_count
    if run.step != IngestRun.Step.EMBED or done <= 0 or run.step_started_at is None:
        return None
    elapsed = (now - run.step_started_at).total_seconds()
    return max(0, math.ceil((run.total_count - run.done_count) * elapsed / done))


def read_progress(user: User, ids: Collection[UUID]) -> list[Progress]:
    """Return the progress of those of the documents the person may read."""
    now = timezone.now()
    documents: Iterable[Document] = with_latest_run(
        Document.objects.visible_to(user).filter(pk__in=ids)
    )
    return [
        progress_of(
            document_id=document.pk, status=document.status, run=latest_run(document), now=now
        )
        for document in documents
    ]
