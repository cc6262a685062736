"""Turning things: parameters and rows are changed, made and deleted here, each change a revision with author and reason."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import models, router
from django.db.models.deletion import Collector, ProtectedError, RestrictedError
from django.utils.translation import gettext as _

from apps.tuning import journal, registry, rights, rows
from apps.tuning.models import Revision
from apps.tuning.querysets import PARAMETERS
from apps.tuning.registry import Value
from apps.tuning.rows import RowError

Action = Revision.Action


def change(
    *,
    values: Mapping[str, Value | None],
    author_id: UUID | None,
    reason: str = "",
    action: Action = Action.CHANGED,
) -> Revision | None:
    """Set parameters live; None puts one back to its default. Without a difference nothing is written.

    Raises:
        ParameterError: a name is not declared, or a value breaks its type or bounds; then nothing changes.
        NotAllowedError: one of them is for others to turn.
    """
    cleaned = {
        name: None if value is None else registry.get(name).clean(value)
        for name, value in values.items()
    }
    with journal.writing():
        before = live_values()
        after = {**before, **cleaned}
        after = {
            name: value
            for name, value in after.items()
            if value is not None and value != registry.get(name).default
        }
        changed = _difference(before, after)
        if not changed:
            return None
        rights.check(user_id=author_id, names=changed)
        return journal.record(
            subject=PARAMETERS,
            action=action,
            values=after,
            changed=changed,
            author_id=author_id,
            reason=reason,
        )


def live_values() -> dict[str, Any]:
    """Return the journal's present values of the parameters that are still declared; absent: the default."""
    stored = Revision.objects.active(PARAMETERS).values_list("values", flat=True).first()
    return {name: value for name, value in (stored or {}).items() if registry.is_declared(name)}


def change_row(
    *,
    instance: models.Model,
    values: Mapping[str, Any],
    author_id: UUID | None,
    reason: str = "",
    action: Action = Action.CHANGED,
) -> Revision | None:
    """Set these columns of a stored row; without a difference to what is stored nothing is written.

    The instance in memory is given the values too. The row's other columns are left as the database has them.

    Raises:
        RowError: the row is gone, a value is refused, or a secret would be sent where it was not entered for.
        NotAllowedError: the row is for others to turn.
    """
    kind = rows.kind_of(type(instance))
    with journal.writing():
        stored = kind.model._base_manager.filter(pk=instance.pk).first()
        if stored is None:
            raise RowError(_("%s was deleted meanwhile.") % instance)
        subject, label = rows.subject_of(stored), str(stored)
        before = rows.values_of(stored)
        changed = rows.assign(stored, values)
        if not changed:
            return None
        rights.check(user_id=author_id, names=[subject])
        _check_key_and_secret(kind, stored, subject, changed)
        rows.check(stored, changed)
        stored.save(update_fields=list(changed))
        if not Revision.objects.active(subject).exists():
            _note_as_found(subject, label, before)
        revision = journal.record(
            subject=subject,
            label=str(stored),
            action=action,
            values=rows.values_of(stored),
            changed=changed,
            author_id=author_id,
            reason=reason,
        )
    rows.assign(instance, {name: rows.raw_value(stored, name) for name in changed})
    return revision


def create_row(
    *,
    instance: models.Model,
    author_id: UUID | None,
    reason: str = "",
    action: Action = Action.CREATED,
) -> Revision:
    """Store a new row.

    Raises:
        RowError: a value is refused.
        NotAllowedError: rows of this kind are for others to make.
    """
    with journal.writing():
        rows.check(instance, [field.name for field in instance._meta.fields])
        instance.save(force_insert=True)
        subject, values = rows.subject_of(instance), rows.values_of(instance)
        rights.check(user_id=author_id, names=[subject])
        changed: journal.Changes = {name: [None, value] for name, value in values.items()}
        for field in rows.secret_fields(type(instance)):
            if field.value_from_object(instance):
                changed[field.name] = None
        return journal.record(
            subject=subject,
            label=str(instance),
            action=action,
            values=values,
            changed=changed,
            author_id=author_id,
            reason=reason,
        )


def delete_row(
    *, instance: models.Model, author_id: UUID | None, reason: str = ""
) -> list[Revision]:
    """Delete a row and what goes with it; each journalled row among them has its own revision, with its last values.

    Raises:
        RowError: something that stays depends on it.
        NotAllowedError: one of the rows is for others to turn.
    """
    with journal.writing():
        doomed = _going_with(instance)
        subjects = [rows.subject_of(row) for row in doomed]
        rights.check(user_id=author_id, names=subjects)
        lasts = [(str(row), rows.values_of(row)) for row in doomed]
        instance.delete()
        return [
            journal.record(
                subject=subject,
                label=label,
                action=Action.DELETED,
                values=values,
                changed={name: [value, None] for name, value in values.items()},
                author_id=author_id,
                reason=reason,
            )
            for subject, (label, values) in zip(subjects, lasts, strict=True)
        ]


def _going_with(instance: models.Model) -> list[models.Model]:
    """Return the row and the journalled rows that its deletion takes along."""
    collector = Collector(using=router.db_for_write(type(instance)), origin=instance)
    try:
        collector.collect([instance])
    except (ProtectedError, RestrictedError) as error:
        raise RowError(_("%s is still in use.") % instance) from error
    collected = [row for found in collector.data.values() for row in found]
    collected += [row for found in collector.fast_deletes for row in found]
    journalled = {type(instance), *rows.declared_models()}
    others = [row for row in collected if type(row) in journalled and row != instance]
    return [instance, *others]


def _check_key_and_secret(
    kind: rows.RowKind, row: models.Model, subject: str, changed: journal.Changes
) -> None:
    if rows.subject_of(row) != subject:
        raise RowError(_("%s names the row in the journal and does not change.") % kind.key_field)
    secrets = [field for field in rows.secret_fields(kind.model) if field.value_from_object(row)]
    if any(name in changed for name in kind.secret_scope) and any(
        field.name not in changed for field in secrets
    ):
        said = _(
            "The stored key was entered for the present %(name)s: change it on the page of %(row)s, and enter "
            "the key again."
        )
        names = ", ".join(
            str(rows.field_of(kind.model, name).verbose_name) for name in kind.secret_scope
        )
        raise RowError(said % {"name": names, "row": row})


def _note_as_found(subject: str, label: str, values: Mapping[str, Any]) -> None:
    """Keep what a row was like before its first change here, so that this too can be gone back to."""
    journal.record(
        subject=subject,
        label=label,
        action=Action.FOUND,
        values=values,
        changed={},
        author_id=None,
        reason="",
    )


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> journal.Changes:
    """Return name → [old, new] with defaults written out."""
    changed: journal.Changes = {}
    for name in {*before, *after}:
        default = registry.get(name).default
        old, new = before.get(name, default), after.get(name, default)
        if old != new:
            changed[name] = [old, new]
    return changed
