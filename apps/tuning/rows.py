"""How a table's row looks in the journal: its subject, its values as JSON, and what must not be there."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.tuning.journal import Changes
from apps.tuning.registry import TuningError

Field = models.Field[Any, Any]


class RowError(TuningError):
    """A row can't be changed, brought back or found that way."""


@dataclass(frozen=True, slots=True)
class RowKind:
    """What the journal has to know of a table.

    `key_field` names its rows in the journal and never changes. A stored secret goes with the values of `secret_scope`
    it was entered for: they change only together with a new secret. `no_rollback` says what to do instead, where
    rows are never put back.
    """

    model: type[models.Model]
    key_field: str = "pk"
    secret_scope: tuple[str, ...] = ()
    no_rollback: str | Promise = ""


class _Encoder(DjangoJSONEncoder):
    """Django's, which cuts times to milliseconds, with times as they are."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


_kinds: dict[type[models.Model], RowKind] = {}


def declare(kind: RowKind) -> None:
    """Make a table's ways known; `JournalledAdmin` calls this. Others have the defaults."""
    _kinds[kind.model] = kind


def declared_models() -> list[type[models.Model]]:
    """Return the tables whose rows are journalled."""
    return list(_kinds)


def kind_of(model: type[models.Model]) -> RowKind:
    """Return what is declared of a table, else the defaults."""
    return _kinds.get(model) or RowKind(model)


def subject_of(row: models.Model) -> str:
    """Return the row's name in the journal, `<app>.<model>:<key>`."""
    kind = kind_of(type(row))
    return f"{prefix_of(kind.model)}{getattr(row, kind.key_field)}"


def prefix_of(model: type[models.Model]) -> str:
    """Return what the subjects of a table's rows begin with."""
    return f"{model._meta.label_lower}:"


def model_of(subject: str) -> type[models.Model]:
    """Return the table of a row's subject.

    Raises:
        RowError: it names no table.
    """
    label, found, _key = subject.partition(":")
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        found = ""
    if not found:
        raise RowError(_("%s names no row.") % subject)
    return model


def find(subject: str) -> tuple[RowKind, models.Model | None]:
    """Return the table and the row of a subject; no row: it was deleted.

    Raises:
        RowError: it names no table, or no key of one.
    """
    kind = kind_of(model_of(subject))
    key = subject.partition(":")[2]
    try:
        return kind, kind.model._base_manager.filter(**{kind.key_field: key}).first()
    except (ValidationError, ValueError):
        raise RowError(_("%s names no row.") % subject) from None


def is_secret(field: Field) -> bool:
    """Say whether the field's values must never be in the journal."""
    return bool(getattr(field, "is_secret", False))


def secret_fields(model: type[models.Model]) -> list[Field]:
    """Return the fields of a table that hold secrets."""
    return [field for field in model._meta.concrete_fields if is_secret(field)]


def field_of(model: type[models.Model], name: str) -> Field:
    """Return a column by its name.

    Raises:
        RowError: the table has none of that name.
    """
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    if not isinstance(field, models.Field) or not field.concrete:
        said = _("%(table)s has no %(name)s.")
        raise RowError(said % {"table": model._meta.verbose_name, "name": name})
    return field


def values_of(row: models.Model) -> dict[str, Any]:
    """Return what an operator sets of a row, with its primary key, as JSON holds it; no secrets."""
    fields = [
        field
        for field in row._meta.concrete_fields
        if (field.editable or field.primary_key) and not is_secret(field)
    ]
    return {field.name: _as_json(field, row) for field in fields}


def raw_value(row: models.Model, name: str) -> Any:
    """Return a column's value as the row in memory has it, secrets included."""
    return field_of(type(row), name).value_from_object(row)


def editable_values(row: models.Model) -> dict[str, Any]:
    """Return the columns an operator edits as the row in memory has them, secrets included."""
    return {
        field.name: field.value_from_object(row)
        for field in row._meta.concrete_fields
        if field.editable and not field.primary_key
    }


def edits_of(row: models.Model) -> dict[str, Any]:
    """Return those of them that differ from what is stored."""
    stored = type(row)._base_manager.filter(pk=row.pk).first()
    before = editable_values(stored) if stored else {}
    after = editable_values(row)
    return {name: value for name, value in after.items() if before.get(name) != value}


def json_value(row: models.Model, name: str) -> Any:
    """Return a column's value as the journal holds it."""
    return _as_json(field_of(type(row), name), row)


def assign(row: models.Model, values: Mapping[str, Any]) -> Changes:
    """Set values on a row in memory and return what differs, name → [old, new] (null: a secret).

    Raises:
        RowError: a name is no column, or a value is not of its type.
    """
    changed: Changes = {}
    for name, value in values.items():
        field = field_of(type(row), name)
        before, raw_before = _as_json(field, row), field.value_from_object(row)
        setattr(row, field.attname, _to_python(field, value))
        if field.value_from_object(row) != raw_before:
            changed[field.name] = None if is_secret(field) else [before, _as_json(field, row)]
    return changed


def check(row: models.Model, names: Iterable[str]) -> None:
    """Test these values of a row against today's bounds, other rows and constraints.

    Raises:
        RowError: a value is refused; the text names each.
    """
    names = set(names)
    others = {field.name for field in row._meta.fields if field.name not in names}
    try:
        row.full_clean(exclude=others)
    except ValidationError as error:
        raise RowError(_told(error)) from None


def _told(error: ValidationError) -> str:
    parts = [
        " ".join(messages) if name == "__all__" else f"{name}: {' '.join(messages)}"
        for name, messages in error.message_dict.items()
    ]
    return " ".join(parts)


def _as_json(field: Field, row: models.Model) -> Any:
    """Return a column's value as it comes back from the journal."""
    return json.loads(json.dumps(field.value_from_object(row), cls=_Encoder))


def _to_python(field: Field, value: Any) -> Any:
    """Return the value in the column's own type; a related row is given as itself or its key."""
    if isinstance(value, models.Model):
        value = value.pk
    target: Field = field.target_field if isinstance(field, models.ForeignKey) else field
    try:
        return target.to_python(value)
    except ValidationError as error:
        raise RowError(f"{field.name}: {' '.join(error.messages)}") from None
