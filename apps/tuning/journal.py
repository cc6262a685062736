"""The journal's one writer: each change a revision, one active for each subject, told to all processes after commit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.tuning import live
from apps.tuning.models import Revision

# One writer at a time: two changes at once would each miss the other's values, and ids would not rise with commits.
JOURNAL_LOCK_KEY = 7_204_001

Changes = dict[str, list[Any] | None]


@contextmanager
def writing() -> Iterator[None]:
    """Hold the journal for one change: a transaction, and no other writer until it ends."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [JOURNAL_LOCK_KEY])
        yield


def record(
    *,
    subject: str,
    label: str = "",
    action: Revision.Action,
    values: Mapping[str, Any],
    changed: Changes,
    author_id: UUID | None,
    reason: str,
) -> Revision:
    """Write down a change within `writing`, as the subject's active revision."""
    Revision.objects.active(subject).update(is_active=False)
    live.announce_on_commit()
    return Revision.objects.create(
        subject=subject,
        label=label[:200],
        action=action,
        values=dict(values),
        changed=changed,
        author_id=author_id,
        reason=reason,
    )


@contextmanager
def rehearsal() -> Iterator[None]:
    """Run a change with all its checks, and leave nothing of it behind.

    Nothing is announced: what waits for a commit goes with the rollback.
    """
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
