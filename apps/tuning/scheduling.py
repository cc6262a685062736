"""Changes that wait for their time: tested when they are made, and again when a worker makes them."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.tuning import journal, rights, rows, services
from apps.tuning.models import Revision, ScheduledChange
from apps.tuning.querysets import PARAMETERS
from apps.tuning.registry import TuningError
from apps.tuning.rows import RowError

logger = logging.getLogger(__name__)


def schedule(
    *,
    values: Mapping[str, Any],
    due_at: datetime,
    author_id: UUID | None,
    reason: str = "",
    subject: str = PARAMETERS,
) -> ScheduledChange:
    """Have a change made at a time to come; `subject` is the parameters, or a row's.

    Raises:
        TuningError: the time is over, or the change would be refused now.
    """
    if due_at <= timezone.now():
        raise TuningError(_("Choose a time to come, or save without a time to change it now."))
    label = ""
    if subject != PARAMETERS:
        label, values = _row_values(subject, values)
    with journal.rehearsal():
        _make(subject, values, author_id=author_id, reason=reason)
    return ScheduledChange.objects.create(
        subject=subject,
        label=label[:200],
        values=dict(values),
        due_at=due_at,
        author_id=author_id,
        reason=reason,
    )


def cancel(*, scheduled: ScheduledChange, user_id: UUID | None) -> bool:
    """Take back a change that has still to come; False when it was made, refused or cancelled before.

    Raises:
        NotAllowedError: it is for others to turn.
    """
    is_parameters = scheduled.subject == PARAMETERS
    names = list(scheduled.values) if is_parameters else [scheduled.subject]
    rights.check(user_id=user_id, names=names)
    mine = ScheduledChange.objects.waiting().filter(pk=scheduled.pk)
    return bool(mine.update(cancelled_at=timezone.now(), cancelled_by_id=user_id))


def apply_due(*, at: datetime | None = None) -> int:
    """Make the changes whose time has come and return how many; each is claimed, so that it is made once.

    Raises:
        Exception: the first that was neither made nor refused; it stays due, the others are done.
    """
    failures: list[Exception] = []
    made_count = 0
    for scheduled in ScheduledChange.objects.due(at or timezone.now()):
        try:
            made_count += _apply(scheduled)
        except Exception as error:
            logger.exception("a scheduled change failed", extra={"scheduled_id": scheduled.pk})
            failures.append(error)
    if failures:
        raise failures[0]
    return made_count


def _apply(scheduled: ScheduledChange) -> bool:
    """Claim and make one change in one transaction; a refusal is kept for people to see."""
    mine = ScheduledChange.objects.filter(pk=scheduled.pk)
    with transaction.atomic():
        if not mine.waiting().update(applied_at=timezone.now()):
            return False
        try:
            with transaction.atomic():
                revision = _make(
                    scheduled.subject,
                    scheduled.values,
                    author_id=scheduled.author_id,
                    reason=scheduled.reason,
                )
        except (TuningError, IntegrityError) as error:
            mine.update(applied_at=None, refused_at=timezone.now(), error=str(error))
            return False
        mine.update(revision=revision)
    return True


def _row_values(subject: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return how the row is called, and the values as JSON holds them."""
    row = _row(subject)
    if any(rows.is_secret(rows.field_of(type(row), name)) for name in values):
        raise RowError(_("A key is never kept for later: change it now, without a time."))
    label = str(row)
    rows.assign(row, values)
    return label, {name: rows.json_value(row, name) for name in values}


def _row(subject: str) -> models.Model:
    _kind, row = rows.find(subject)
    if row is None:
        raise RowError(_("%s was deleted meanwhile.") % subject)
    return row


def _make(
    subject: str, values: Mapping[str, Any], *, author_id: UUID | None, reason: str
) -> Revision | None:
    if subject == PARAMETERS:
        return services.change(values=values, author_id=author_id, reason=reason)
    return services.change_row(
        instance=_row(subject), values=values, author_id=author_id, reason=reason
    )
