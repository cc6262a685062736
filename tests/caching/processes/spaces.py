"""Keyspaces over departments, for the tests that run real processes: the cached value is the department's name."""

from collections.abc import Iterator
from contextlib import contextmanager

from apps.caching import keyspaces
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.triggers import Invalidates, outbox_triggers

LEASE_SECONDS = 0.3


def _space(
    name: str, *, l1_ttl_seconds: float = 0, has_l2: bool = True, **fields: float
) -> Keyspace[str]:
    return Keyspace(
        name=name,
        key_fields=("department",),
        help_text="",
        fresh_by="triggers of the test",
        shared_by=Sharing.EVERYONE,
        has_l2=has_l2,
        l1_ttl_seconds=l1_ttl_seconds,
        l1_share_ratio=0.1 if l1_ttl_seconds else 0,
        **{"ttl_seconds": 600, "lease_seconds": LEASE_SECONDS, "beta": 0} | fields,
    )


SHARED = _space("tests:department:1")
# Its lifetime in memory is longer than any test: nothing is fresh there because its time is over.
KEPT = _space("tests:department-kept:1", l1_ttl_seconds=3600)
# In memory alone: nothing but the news keeps it fresh.
MEMORY = _space("tests:department-memory:1", l1_ttl_seconds=3600, has_l2=False)
# What many read at once; its lease is longer than its compute.
STAMPEDED = _space("tests:stampeded:1", lease_seconds=1)
SPACES = {space.name: space for space in (SHARED, KEPT, MEMORY)}


@contextmanager
def declared(*spaces: Keyspace[str]) -> Iterator[None]:
    """Declare keyspaces, and take them back: other tests look at all there are."""
    for space in spaces:
        keyspaces.register(space)
    try:
        yield
    finally:
        for space in spaces:
            del keyspaces._keyspaces[space.name]


def triggers() -> tuple[str, str]:
    """Return the SQL that makes the triggers for all of them, and the SQL that takes them away."""
    keys = "SELECT ARRAY[id::text] FROM changed"
    operation = outbox_triggers(
        "accounts_department", [Invalidates(name, keys) for name in SPACES], version=9999
    )
    return str(operation.sql), str(operation.reverse_sql)
