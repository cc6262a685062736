"""The live values: a frozen snapshot per process, at most a second old, read without a query when fresh."""

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType

from apps.tuning import registry
from apps.tuning.models import Revision
from apps.tuning.registry import Value

MAX_AGE_SECONDS = 1.0

_lock = threading.Lock()
_values: Mapping[str, Value] = MappingProxyType({})
_read_at = float("-inf")


def snapshot() -> Mapping[str, Value]:
    """Return the values that differ from their defaults, read again from the database once a second.

    One thread reads while the others go on with the values they have.
    """
    global _values, _read_at  # noqa: PLW0603 - one snapshot a process is the point
    if is_fresh():
        return _values
    if not _lock.acquire(blocking=_read_at == float("-inf")):
        return _values
    try:
        if not is_fresh():
            stored = (
                Revision.objects.filter(is_active=True).values_list("values", flat=True).first()
            )
            _values = MappingProxyType(dict(stored or {}))
            _read_at = time.monotonic()
        return _values
    finally:
        _lock.release()


def is_fresh() -> bool:
    """Say whether a read now needs no query; async code asks before it reads."""
    return time.monotonic() - _read_at < MAX_AGE_SECONDS


def value(name: str) -> Value:
    """Return the live value of a declared parameter: the operator's, else the default.

    Raises:
        ParameterError: nothing of that name is declared.
    """
    parameter = registry.get(name)
    return snapshot().get(name, parameter.default)


def integer(name: str) -> int:
    """Return the live value of a whole-number parameter."""
    return int(value(name))


def number(name: str) -> float:
    """Return the live value of a number parameter."""
    return float(value(name))


def flag(name: str) -> bool:
    """Return the live value of an on/off parameter."""
    return bool(value(name))


def forget() -> None:
    """Have the next read go to the database; whoever just changed a value calls this."""
    global _read_at  # noqa: PLW0603 - one snapshot a process is the point
    _read_at = float("-inf")
