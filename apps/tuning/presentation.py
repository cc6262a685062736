"""How values and changes read for people, on the pages and in the commands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from apps.tuning import registry, rows
from apps.tuning.models import ScheduledChange
from apps.tuning.querysets import PARAMETERS
from apps.tuning.rows import RowError


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a change: what it is called, before and after; a secret shows neither."""

    name: str
    label: str
    old: str
    new: str
    is_secret: bool = False

    def __str__(self) -> str:
        if self.is_secret:
            return _("%s was changed") % self.label
        return f"{self.label}: {self.old} → {self.new}"


def lines(subject: str, changed: Mapping[str, Any]) -> list[Line]:
    """Return a change line by line, by name; `changed` is name → [old, new], None for a secret."""
    return [_line(subject, name, pair) for name, pair in sorted(changed.items())]


def shown(value: Any, unit: str = "") -> str:
    """Return a value as people read it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return _("on") if value else _("off")
    text = str(value)
    if isinstance(value, int):
        text = number_format(value, force_grouping=True)
    elif isinstance(value, float):
        text = number_format(f"{value:.12g}")
    return f"{text} {_(unit)}" if unit else text


def summary(subject: str, changed: Mapping[str, Any], *, most: int = 3) -> str:
    """Return a change in one line: the first values, and how many more."""
    found = [line for line in lines(subject, changed) if line.old != line.new or line.is_secret]
    rest = len(found) - most
    text = ", ".join(str(line) for line in found[:most])
    return _("%(text)s and %(count)d more") % {"text": text, "count": rest} if rest > 0 else text


def planned(scheduled: ScheduledChange) -> str:
    """Return the values a scheduled change will set, in one line."""
    pairs = {name: [None, value] for name, value in scheduled.values.items()}
    return ", ".join(
        f"{line.label} → {_('default') if scheduled.values[line.name] is None else line.new}"
        for line in lines(scheduled.subject, pairs)
    )


def naming(subject: str, label: str) -> str:
    """Return what a change is about: the parameters, or which row of which table."""
    if subject == PARAMETERS:
        return _("parameters")
    try:
        table = rows.model_of(subject)._meta.verbose_name
    except RowError:
        return label or subject
    return f"{table} {label or subject.partition(':')[2]}"


def kinds() -> list[tuple[str, str]]:
    """Return what the journal is about: the beginning of the subjects, and its name for people."""
    tables: Iterable[type[models.Model]] = rows.declared_models()
    found = [(rows.prefix_of(one), str(one._meta.verbose_name_plural)) for one in tables]
    return [(PARAMETERS, _("parameters")), *sorted(found, key=lambda pair: pair[1])]


def _line(subject: str, name: str, pair: list[Any] | None) -> Line:
    label, unit = _naming(subject, name)
    if pair is None:
        return Line(name, label, "", "", is_secret=True)
    old, new = pair
    return Line(name, label, shown(old, unit), shown(new, unit))


def _naming(subject: str, name: str) -> tuple[str, str]:
    """Return what a value is called and its unit; what is no longer declared keeps its name."""
    if subject == PARAMETERS:
        return name, registry.get(name).unit if registry.is_declared(name) else ""
    try:
        field = rows.field_of(rows.model_of(subject), name)
    except RowError:
        return name, ""
    return str(field.verbose_name), ""
