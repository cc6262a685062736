"""The store: levels, generations, leases, bulk reads, and what happens in transactions."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction

from apps.caching import keyspaces, listener, local, policies, remote, store
from apps.caching.keyspaces import Keyspace, KeyspaceError, Sharing
from apps.caching.models import InvalidationOutbox
from tests.caching.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Counted:
    """A compute that counts its calls."""

    value: Any = "value"
    calls: list[threading.Thread] = field(default_factory=list)

    def __call__(self) -> Any:
        self.calls.append(threading.current_thread())
        return self.value


def _keyspace(name: str, **fields: Any) -> Keyspace[Any]:
    return keyspaces.register(
        Keyspace(
            name=name,
            key_fields=("a", "b"),
            help_text="For tests.",
            fresh_by="Nothing.",
            shared_by=Sharing.EVERYONE,
            **{"ttl_seconds": 60, **fields},
        )
    )


L2 = _keyspace("caching:test-l2:1")
L1 = _keyspace("caching:test-l1:1", l1_ttl_seconds=30, l1_share_ratio=0.1)
L1_ONLY = _keyspace("caching:test-l1-only:1", l1_ttl_seconds=30, l1_share_ratio=0.1, has_l2=False)


@pytest.fixture
def listening() -> None:
    """A process that hears of changes."""
    listener.ensure()
    until(lambda: local.is_open)


def test_a_value_is_computed_once() -> None:
    compute = Counted({"n": [1, None]})
    assert store.get_or_compute(L2, ("x", 1), compute) == {"n": [1, None]}
    assert store.get_or_compute(L2, ("x", 1), compute) == {"n": [1, None]}
    assert len(compute.calls) == 1


def test_a_stored_none_is_no_miss() -> None:
    compute = Counted(None)
    for _ in range(3):
        assert store.get_or_compute(L2, ("none", 1), compute) is None
    assert len(compute.calls) == 1


def test_keys_that_spell_alike_stay_apart() -> None:
    assert keyspaces.digest(L2, ("1:a", "b")) != keyspaces.digest(L2, ("1", "a:b"))
    assert keyspaces.digest(L2, ("ab", "")) != keyspaces.digest(L2, ("a", "b"))
    with pytest.raises(KeyspaceError, match="takes a, b"):
        keyspaces.digest(L2, ("only one",))


@pytest.mark.parametrize("keyspace", [L2, L1, L1_ONLY], ids=lambda one: one.name)
def test_an_invalidated_key_is_computed_anew(keyspace: Keyspace[Any], listening: None) -> None:
    compute = Counted("old")
    for _ in range(3):
        assert store.get_or_compute(keyspace, ("k", 1), compute) == "old"
    compute.value = "new"
    store.invalidate(keyspace, ("k", 1))
    assert store.get_or_compute(keyspace, ("k", 1), compute) == "new"


def test_a_fill_that_began_before_a_change_is_refused(listening: None) -> None:
    def compute() -> str:
        store.invalidate(L1, ("race", 1))
        return "old"

    assert store.get_or_compute(L1, ("race", 1), compute) == "old"
    assert store.get_or_compute(L1, ("race", 1), Counted("new")) == "new"


def test_a_lost_generation_refuses_a_fill(listening: None) -> None:
    def compute() -> str:
        remote.client().flushall()
        return "old"

    store.get_or_compute(L2, ("flushed", 1), compute)
    assert store.get_or_compute(L2, ("flushed", 1), Counted("new")) == "new"


def test_memory_answers_without_valkey(listening: None) -> None:
    compute = Counted()
    until(lambda: store.get_or_compute(L1, ("m", 1), compute) and local.figures()[L1.name].entries)
    # Whoever asks Valkey now has to compute; memory hears of generations alone.
    digest = keyspaces.digest(L1, ("m", 1))
    assert remote.client().delete(remote.keys_of(L1.name, policies.of(L1).epoch, digest)[0]) == 1
    before = len(compute.calls)
    for _ in range(5):
        assert store.get_or_compute(L1, ("m", 1), compute) == "value"
    assert len(compute.calls) == before


def test_memory_is_dropped_by_another_process(listening: None) -> None:
    until(
        lambda: (
            store.get_or_compute(L1, ("p", 1), Counted("old")) and local.figures()[L1.name].entries
        )
    )
    policy = policies.of(L1)
    keys = remote.keys_of(L1.name, policy.epoch, keyspaces.digest(L1, ("p", 1)))
    # As another process would: this one's memory is not told by the call itself.
    remote.INVALIDATE(keys, 60_000, "0")
    until(lambda: store.get_or_compute(L1, ("p", 1), Counted("new")) == "new")


def test_a_flush_empties_memory(listening: None) -> None:
    until(
        lambda: store.get_or_compute(L1, ("f", 1), Counted()) and local.figures()[L1.name].entries
    )
    remote.client().flushall()
    until(lambda: local.figures()[L1.name].entries == 0)


def test_nothing_is_read_or_kept_inside_of_a_transaction() -> None:
    compute = Counted("committed")
    store.get_or_compute(L2, ("t", 1), compute)
    with transaction.atomic():
        assert store.get_or_compute(L2, ("t", 1), Counted("own")) == "own"
        assert store.get_or_compute(L2, ("u", 1), Counted("own")) == "own"
    assert store.get_or_compute(L2, ("t", 1), compute) == "committed"
    assert store.get_or_compute(L2, ("u", 1), Counted("other")) == "other"


def test_an_invalidation_waits_for_the_commit() -> None:
    store.get_or_compute(L2, ("c", 1), Counted("old"))
    with transaction.atomic():
        store.invalidate(L2, ("c", 1))
        policy = policies.of(L2)
        keys = remote.keys_of(L2.name, policy.epoch, keyspaces.digest(L2, ("c", 1)))
        assert remote.PEEK(keys)
    assert store.get_or_compute(L2, ("c", 1), Counted("new")) == "new"


def test_a_durable_invalidation_is_in_the_outbox_too() -> None:
    store.invalidate(L2, ("d", 1), is_durable=True)
    assert InvalidationOutbox.objects.get().key == ["d", "1"]


def test_bulk_reads_ask_once_and_compute_only_what_is_missing(listening: None) -> None:
    asked: list[list[Any]] = []

    def compute_many(keys: Any) -> Any:
        asked.append(list(keys))
        return {key: f"v{key[1]}" for key in keys if key[1] != 3}

    keys = [("b", n) for n in range(4)]
    expected = {key: f"v{key[1]}" for key in keys[:3]}
    assert store.get_many(L1, keys[:2], compute_many) == {key: expected[key] for key in keys[:2]}
    assert store.get_many(L1, keys, compute_many) == expected
    assert asked == [keys[:2], keys[2:]]
    assert store.get_many(L1, keys[:3], compute_many) == expected
    assert len(asked) == 2


def test_too_large_a_value_is_not_kept() -> None:
    small = _keyspace("caching:test-small:1", max_value_bytes=64)
    compute = Counted("x" * 100)
    for _ in range(2):
        assert store.get_or_compute(small, ("s", 1), compute) == "x" * 100
    assert len(compute.calls) == 2


def test_what_is_put_is_found_until_invalidated() -> None:
    assert store.peek(L2, ("a", 1)) is store.MISSING
    store.put(L2, ("a", 1), {"text": "…"})
    assert store.peek(L2, ("a", 1)) == {"text": "…"}
    store.invalidate(L2, ("a", 1))
    assert store.peek(L2, ("a", 1)) is store.MISSING


def test_a_failed_compute_is_told_to_those_who_ask_at_once(listening: None) -> None:
    calls = []

    def fail() -> str:
        calls.append(1)
        raise LookupError("gone")

    for _ in range(3):
        with pytest.raises(LookupError, match="gone"):
            store.get_or_compute(L2, ("e", 1), fail)
    assert len(calls) == 1


async def test_the_async_twin_shares_the_same_entries(listening: None) -> None:
    calls = []

    async def compute() -> str:
        calls.append(1)
        return "value"

    assert await store.aget_or_compute(L2, ("async", 1), compute) == "value"
    assert await store.aget_or_compute(L2, ("async", 1), compute) == "value"
    assert len(calls) == 1
    await remote.aclose()
