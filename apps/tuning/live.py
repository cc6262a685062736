"""The live values: a frozen snapshot per process, read without a query while fresh, and the news of a change."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from django.db import transaction

from apps.tuning import registry
from apps.tuning.models import Revision
from apps.tuning.registry import ParameterError, Value

logger = logging.getLogger(__name__)

# How old the values may be where no push arrives: Valkey is away, or no listener runs in this process.
MAX_AGE_SECONDS = 0.5

Publisher = Callable[[], object]

_lock = threading.Lock()
_stored: Mapping[str, Value] | None = None
_values: Mapping[str, Value] = MappingProxyType({})
_generation = 0
_read_at = float("-inf")
_forgotten_count = 0
_publishers: list[Publisher] = []


def snapshot() -> Mapping[str, Value]:
    """Return the values that differ from their defaults, frozen: a request or task that keeps it sees one state.

    Read again from the database when older than MAX_AGE_SECONDS; one thread reads while the others go on with the
    values they have, except after `forget`, when they wait for it.
    """
    if time.monotonic() - _read_at >= MAX_AGE_SECONDS:
        _refresh()
    return _values


def generation() -> int:
    """Return the id of the newest journalled change of any subject, 0 before the first; it moves with each change.

    Part of the same read as `snapshot`: no query while fresh. What is built from journalled rows (policies, prices,
    routes) is built anew when this number is another one than before.
    """
    if time.monotonic() - _read_at >= MAX_AGE_SECONDS:
        _refresh()
    return _generation


def known_generation() -> int:
    """Return the generation last read, however long ago: never a query."""
    return _generation


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


def known(name: str) -> Value:
    """Return the value of a declared parameter as last read, without ever a query: for async code.

    Whoever has just seen `is_fresh` may find the snapshot ended by the next line; `snapshot` would read it again there.

    Raises:
        ParameterError: nothing of that name is declared.
    """
    parameter = registry.get(name)
    return _values.get(name, parameter.default)


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
    """Have the next read go to the database; whoever learns of a change calls this."""
    global _read_at, _forgotten_count  # noqa: PLW0603 - one snapshot a process is the point
    _forgotten_count += 1
    _read_at = float("-inf")


def register_publisher(publisher: Publisher) -> None:
    """Have `publisher` called, without arguments, after the commit of each journalled change.

    It pushes the news to the other processes, which call `forget` when it arrives; its failure is logged and costs
    no more than the time until their next look (MAX_AGE_SECONDS).
    """
    if publisher not in _publishers:
        _publishers.append(publisher)


def announce_on_commit() -> None:
    """Make the change being written known once it is committed: here at once, elsewhere by the publishers."""
    transaction.on_commit(forget)
    for publisher in _publishers:
        transaction.on_commit(publisher, robust=True)


def _refresh() -> None:
    """Read values and generation in one query, unless another thread has just done so or is at it."""
    global _stored, _values, _generation, _read_at  # noqa: PLW0603 - one snapshot a process is the point
    if not _lock.acquire(blocking=_read_at == float("-inf")):
        return
    try:
        if is_fresh():
            return
        forgotten_count, begun_at = _forgotten_count, time.monotonic()
        newest, stored = Revision.objects.newest_and_values().first() or (0, None)
        if stored != _stored:
            _stored, _values = stored, MappingProxyType(_acceptable(stored or {}))
        _generation = newest
        # A change made known while this read was under way may not be in it: then the next reader reads again.
        if forgotten_count == _forgotten_count:
            _read_at = begun_at
    finally:
        _lock.release()


def _acceptable(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return the stored values without those today's declarations refuse: a release may have narrowed the bounds."""
    accepted = {}
    for name, stored in values.items():
        if registry.is_declared(name):
            try:
                accepted[name] = registry.get(name).clean(stored)
            except ParameterError as error:
                logger.warning("a stored value is refused", extra={"reason": str(error)})
    return accepted
