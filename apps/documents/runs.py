"""The rows of ingestion runs: who works on one, how far it is, how it ended. What the work is, ingestion knows.

A worker holds a run by its attempt number and a lease. Every write repeats the number, so that a worker which lost its
lease and comes back changes nothing.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Least, Now

from apps.documents import reasons
from apps.documents.cache import changed
from apps.documents.models import Document, IngestRun
from apps.tuning import live

# A waiting run whose message was lost is found after this long; a message is only a hint.
HINT_SECONDS: Final = 120
BACKOFF_SECONDS: Final = (10, 30, 120, 300)
# How often a run stopped by a budget looks whether it was raised.
BUDGET_SECONDS: Final = 120
UNFINISHED: Final = (IngestRun.State.WAITING, IngestRun.State.RUNNING)
MAX_DETAIL_CHARACTERS: Final = 2000


class LostRunError(Exception):
    """The run is another worker's now, or gone with its document: stop without a trace."""


def claim(run_id: UUID) -> IngestRun | None:
    """Take a waiting run, or one whose worker has fallen silent; None if there is nothing to take."""
    with transaction.atomic():
        taken = IngestRun.objects.filter(
            Q(state=IngestRun.State.WAITING)
            | Q(state=IngestRun.State.RUNNING, lease_expires_at__lte=Now()),
            pk=run_id,
            attempt_count__lt=F("attempt_limit"),
        ).update(
            state=IngestRun.State.RUNNING,
            attempt_count=F("attempt_count") + 1,
            lease_expires_at=_lease_end(),
            started_at=Coalesce("started_at", Now()),
            step_started_at=Now(),
            step_start_count=F("done_count"),
        )
        if not taken:
            return None
        run = IngestRun.objects.select_related("document", "version").get(pk=run_id)
        Document.objects.filter(pk=run.document_id).update(status=Document.Status.READING)
        changed(run.document_id)
    return run


def keep(run: IngestRun, **changes: Any) -> None:
    """Renew the lease, and note what else changed; `Raises: LostRunError` where the run is no longer the caller's.

    Inside a transaction this also holds the run's row, so what follows is written by one worker only.
    """
    kept = IngestRun.objects.filter(
        pk=run.pk, state=IngestRun.State.RUNNING, attempt_count=run.attempt_count
    ).update(lease_expires_at=_lease_end(), **changes)
    if not kept:
        raise LostRunError(str(run.pk))


def enter(run: IngestRun, step: IngestRun.Step, **changes: Any) -> None:
    """Go to a step, in the transaction that holds the one before's results; `changes` are of the counts."""
    keep(run, step=step, step_started_at=Now(), **changes)
    run.step = step


def finish(run: IngestRun) -> None:
    """Mark the run done, in the transaction that makes its version serve."""
    keep(run, state=IngestRun.State.DONE, finished_at=Now(), error_code="", error_detail="")


def put_back(run: IngestRun, code: str, detail: str, *, after_seconds: float | None = None) -> None:
    """Let the run wait for another attempt, longer each time; fail it when its attempts are used up."""
    if run.attempt_count >= run.attempt_limit:
        fail(run, code, detail)
        return
    begun = run.attempt_count - 1
    seconds = after_seconds or BACKOFF_SECONDS[min(begun, len(BACKOFF_SECONDS) - 1)]
    with transaction.atomic():
        keep(run, error_code=code, error_detail=detail[:MAX_DETAIL_CHARACTERS])
        IngestRun.objects.filter(pk=run.pk).update(
            state=IngestRun.State.WAITING, lease_expires_at=Now() + timedelta(seconds=seconds)
        )


def wait_for_budget(run: IngestRun, *, refills_at: datetime | None) -> None:
    """Let the run wait for its budget; the attempt does not count.

    It looks again every `BUDGET_SECONDS`, for budgets are raised at any time, and when the budget refills.
    """
    with transaction.atomic():
        # Its number may come again: nothing was asked under it that is not done.
        detail = refills_at.isoformat() if refills_at else ""
        keep(run, error_code=reasons.OVER_BUDGET, error_detail=detail)
        again_at = Now() + timedelta(seconds=BUDGET_SECONDS)
        IngestRun.objects.filter(pk=run.pk).update(
            state=IngestRun.State.WAITING,
            attempt_count=F("attempt_count") - 1,
            lease_expires_at=Least(again_at, refills_at) if refills_at else again_at,
        )
        Document.objects.filter(pk=run.document_id).update(status=Document.Status.WAITING)
        changed(run.document_id)


def fail(run: IngestRun, code: str, detail: str = "") -> None:
    """End the run with a reason; the version that served before goes on serving."""
    with transaction.atomic():
        failed = IngestRun.objects.filter(
            pk=run.pk, state__in=UNFINISHED, attempt_count=run.attempt_count
        ).update(
            state=IngestRun.State.FAILED,
            error_code=code,
            error_detail=detail[:MAX_DETAIL_CHARACTERS],
            finished_at=Now(),
            lease_expires_at=None,
        )
        if failed:
            Document.objects.filter(pk=run.document_id).update(status=Document.Status.FAILED)
            changed(run.document_id)


def due() -> QuerySet[IngestRun]:
    """Return unfinished runs nobody works on: their lease ended, or their message is overdue."""
    return IngestRun.objects.filter(
        Q(lease_expires_at__lte=Now()) | Q(lease_expires_at__isnull=True), state__in=UNFINISHED
    ).order_by("created_at")


def take_for_hint(run: IngestRun) -> bool:
    """Say whether the caller should send the run's message: one of several callers is told so.

    A run without attempts left is failed instead.
    """
    if run.attempt_count >= run.attempt_limit:
        fail(run, run.error_code or reasons.GAVE_UP, run.error_detail)
        return False
    if run.state == IngestRun.State.RUNNING:
        # Its lease has ended; the claim decides among those who come.
        return True
    return bool(
        due()
        .filter(pk=run.pk, state=IngestRun.State.WAITING)
        .order_by()
        .update(lease_expires_at=Now() + timedelta(seconds=HINT_SECONDS))
    )


def attempts() -> int:
    """Return how many attempts a run is given."""
    return live.integer("documents.ingest_attempts")


def _lease_end() -> Any:
    return Now() + timedelta(seconds=live.integer("documents.ingest_lease_seconds"))
