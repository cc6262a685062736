"""The verbs of operators: setting a keyspace's policy, and purging it or one of its keys; pages and commands call these."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.caching import contents, keyspaces, policies, store
from apps.caching.keyspaces import Keyspace
from apps.caching.models import CachePolicy
from apps.tuning import journal, rows, scheduling
from apps.tuning import services as tuning
from apps.tuning.models import Revision, ScheduledChange

logger = logging.getLogger(__name__)

SETTABLE = ("is_enabled", *policies.TUNABLE)
_SWITCH = {"on": True, "true": True, "off": False, "false": False}

rows.declare(rows.RowKind(CachePolicy, key_field="keyspace"))


class PolicyError(Exception):
    """A policy has no such value, or the keyspace can't take it."""


def policy_row(name: str) -> CachePolicy:
    """Return the stored policy of a keyspace, or an unsaved one without values of its own.

    Raises:
        KeyspaceError: there is no such keyspace.
    """
    keyspace = keyspaces.get(name)
    stored = CachePolicy.objects.filter(keyspace=keyspace.name).first()
    return stored or CachePolicy(keyspace=keyspace.name)


def set_policy(
    *, name: str, values: Mapping[str, Any], author_id: UUID | None, reason: str = ""
) -> Revision | None:
    """Set values of a keyspace's policy, None for the shipped default; live in every process within a second.

    Without a difference nothing is written, and None returned.

    Raises:
        KeyspaceError, PolicyError: the keyspace or a value is not known, or the keyspace can't take it.
        RowError, NotAllowedError: a value breaks its bounds, or the person may not turn it.
    """
    keyspace = keyspaces.get(name)
    _check(keyspace, values)
    row = policy_row(name)
    if not row._state.adding:
        return tuning.change_row(instance=row, values=values, author_id=author_id, reason=reason)
    if not rows.assign(row, values):
        return None
    return tuning.create_row(instance=row, author_id=author_id, reason=reason)


def schedule_policy(
    *,
    name: str,
    values: Mapping[str, Any],
    due_at: datetime,
    author_id: UUID | None,
    reason: str = "",
) -> ScheduledChange:
    """Have values of a keyspace's policy set at a time to come.

    Raises:
        KeyspaceError, PolicyError, TuningError: as `set_policy`, or the time is over.
    """
    _check(keyspaces.get(name), values)
    row = policy_row(name)
    with transaction.atomic():
        if row._state.adding:
            tuning.create_row(instance=row, author_id=author_id, reason=reason)
        return scheduling.schedule(
            subject=rows.subject_of(row),
            values=values,
            due_at=due_at,
            author_id=author_id,
            reason=reason,
        )


def purge(*, name: str, author_id: UUID | None, reason: str = "") -> None:
    """Have every entry of a keyspace left behind at once, by a new epoch; a journalled change.

    Raises:
        KeyspaceError: there is no such keyspace.
        NotAllowedError: the person may not turn it.
    """
    row = policy_row(name)
    why = reason or _("All entries purged.")
    with journal.writing():
        if row._state.adding:
            found = _("Every value is the shipped one.")
            tuning.create_row(instance=row, author_id=author_id, reason=found)
        # Within the journal's lock: two purges at once are two epochs.
        row.refresh_from_db()
        tuning.change_row(
            instance=row, values={"epoch": row.epoch + 1}, author_id=author_id, reason=why
        )
    contents.forget()
    logger.info("keyspace purged", extra={"keyspace": name, "author_id": str(author_id or "")})


def purge_key(*, name: str, parts: Sequence[str], author_id: UUID | None) -> None:
    """Drop one key of a keyspace everywhere; it is no change of settings, so the log tells of it, not the journal.

    It is in the outbox, too: with Valkey away the relay does it as soon as it is back.

    Raises:
        KeyspaceError: there is no such keyspace, or its keys have another number of parts.
    """
    keyspace = keyspaces.get(name)
    key = tuple(parts)
    digest = keyspaces.digest(keyspace, key)
    store.invalidate(keyspace, key, is_durable=True)
    contents.forget()
    # The digest, not the key: its parts may be private.
    logger.info(
        "cached key purged",
        extra={"keyspace": name, "digest": digest, "author_id": str(author_id or "")},
    )


def read_setting(text: str) -> tuple[str, Any]:
    """Return name and value of `name=value` as a policy holds it; `default` and nothing mean the shipped one.

    Raises:
        PolicyError: it has another shape, or the value is not of the name's type.
    """
    name, found, value = text.partition("=")
    if not found or name not in SETTABLE:
        raise PolicyError(_no_such_value(text))
    if value in {"", "default"}:
        return name, name == "is_enabled" or None
    if name == "is_enabled":
        if value not in _SWITCH:
            raise PolicyError(
                _("is_enabled: on or off, not %s; to go back to the default, say default.") % value
            )
        return name, _SWITCH[value]
    try:
        return name, int(value) if name == "max_value_bytes" else float(value)
    except ValueError:
        raise PolicyError(
            _("%(name)s: a number expected, not %(value)s; to go back to the default, say default.")
            % {"name": name, "value": value}
        ) from None


def _no_such_value(name: str) -> str:
    return _("%(name)s is no value of a policy; there are: %(known)s.") % {
        "name": name,
        "known": ", ".join(f"{one}=…" for one in SETTABLE),
    }


def _check(keyspace: Keyspace[Any], values: Mapping[str, Any]) -> None:
    for one in values:
        if one not in SETTABLE:
            raise PolicyError(_no_such_value(one))
    if not keyspace.l1_ttl_seconds and any(
        values.get(one) for one in ("l1_ttl_seconds", "l1_share_ratio")
    ):
        raise PolicyError(
            _("%s is never kept in the memory of a process: its app declares it without.")
            % keyspace.name
        )
