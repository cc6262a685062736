"""Changing parameters: one revision a change, with its author and reason."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.tuning import live, registry
from apps.tuning.models import Revision
from apps.tuning.registry import Value

# One writer at a time: two changes at once would each miss the other's values.
JOURNAL_LOCK_KEY = 7_204_001


def change(
    *, values: Mapping[str, Value | None], author_id: UUID | None, reason: str = ""
) -> Revision | None:
    """Set parameters live; None puts one back to its default. Without a difference nothing is written.

    Raises:
        ParameterError: a name is not declared, or a value breaks its type or bounds; then nothing changes.
    """
    cleaned = {
        name: None if value is None else registry.get(name).clean(value)
        for name, value in values.items()
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [JOURNAL_LOCK_KEY])
        current = Revision.objects.filter(is_active=True).first()
        before: dict[str, Any] = dict(current.values) if current else {}
        after = {**before, **cleaned}
        after = {
            name: value
            for name, value in after.items()
            if value is not None and value != registry.get(name).default
        }
        changed = _difference(before, after)
        if not changed:
            return None
        Revision.objects.filter(is_active=True).update(is_active=False)
        revision = Revision.objects.create(
            values=after, changed=changed, author_id=author_id, reason=reason
        )
        transaction.on_commit(live.forget)
    return revision


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return name → [old, new] with defaults written out."""
    changed = {}
    for name in {*before, *after}:
        default = registry.get(name).default
        old, new = before.get(name, default), after.get(name, default)
        if old != new:
            changed[name] = [old, new]
    return changed
