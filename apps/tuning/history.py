"""Going back: what a revision holds is made so again, as a new revision."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.tuning import journal, registry, rows, services
from apps.tuning.models import Revision
from apps.tuning.querysets import PARAMETERS
from apps.tuning.registry import TuningError
from apps.tuning.rows import RowError, RowKind


def rollback(*, revision: Revision, author_id: UUID | None, reason: str = "") -> Revision | None:
    """Make a subject as it was after this revision; None where it is so already.

    A deleted row comes back with its key and its last values; secrets have to be entered again.

    Raises:
        TuningError: a value is no longer allowed or no longer there, the kind of row is never put back, or the person
            may not turn it; then nothing changes.
    """
    if revision.subject == PARAMETERS:
        return _rollback_parameters(revision, author_id=author_id, reason=reason)
    kind, row = rows.find(revision.subject)
    if kind.no_rollback:
        raise RowError(str(kind.no_rollback))
    values = _restorable(kind, revision.values)
    if row is None:
        pk_name = kind.model._meta.pk.name
        row = kind.model()
        rows.assign(row, {**values, pk_name: revision.values[pk_name]})
        return services.create_row(
            instance=row, author_id=author_id, reason=reason, action=Revision.Action.RESTORED
        )
    return services.change_row(
        instance=row,
        values=values,
        author_id=author_id,
        reason=reason,
        action=Revision.Action.RESTORED,
    )


def preview(*, revision: Revision, author_id: UUID | None) -> Revision | None:
    """Return the revision that `rollback` would write, and write nothing; None where it is so already.

    Raises:
        TuningError: as `rollback` would.
    """
    with journal.rehearsal():
        return rollback(revision=revision, author_id=author_id)


def _rollback_parameters(
    revision: Revision, *, author_id: UUID | None, reason: str
) -> Revision | None:
    gone = sorted(name for name in revision.values if not registry.is_declared(name))
    if gone:
        raise TuningError(
            _(
                "Revision %(id)s sets %(names)s, which this version no longer has: set the others one by one."
            )
            % {"id": revision.pk, "names": ", ".join(gone)}
        )
    back_to_default = dict.fromkeys(services.live_values())
    return services.change(
        values={**back_to_default, **revision.values},
        author_id=author_id,
        reason=reason,
        action=Revision.Action.RESTORED,
    )


def _restorable(kind: RowKind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without the primary key: a row that was made again meanwhile keeps its own."""
    for name in values:
        rows.field_of(kind.model, name)
    return {name: value for name, value in values.items() if name != kind.model._meta.pk.name}
