"""Life without the cache: refused, silent, full or read-only; computed instead, not waited for, and nothing old after.

Each test hurts a Valkey of its own while it holds values, changes what they were computed from, and heals it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from redis import Redis
from redis.exceptions import RedisError

from apps.accounts.models import Department
from apps.caching import access, listener, local, relay, remote, store
from apps.caching.breaker import breaker
from apps.caching.models import InvalidationOutbox
from apps.caching.outcomes import Level
from tests.caching.processes.barrier import until_heard
from tests.caching.processes.spaces import KEPT, SHARED, SPACES, declared, triggers
from tests.caching.processes.valkey import INJURIES, OwnValkey
from tests.caching.processes.valkey import valkey as valkey
from tests.caching.waiting import until
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def department(valkey: OwnValkey) -> Iterator[Department]:
    """A department called "before", cached in every keyspace and kept fresh by triggers."""
    making, dropping = triggers()
    with declared(*SPACES.values()), connection.cursor() as cursor:
        cursor.execute(making)
        try:
            found = DepartmentFactory(name="before")
            relay.repeat_all()
            until_heard()
            for space in SPACES:
                for _again in range(3):
                    assert name_of(found, space) == "before"
                    until_heard()
            yield found
        finally:
            cursor.execute(dropping)


def name_of(department: Department, space: str = SHARED.name) -> str:
    return store.get_or_compute(
        SPACES[space],
        (department.pk,),
        lambda: Department.objects.values_list("name", flat=True).get(pk=department.pk),
    )


@contextmanager
def failed_sends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect what this thread asked of Valkey in vain: each is a wait."""
    failed: list[str] = []
    send = remote._connections.send

    def counted(*command: Any) -> Any:
        try:
            return send(*command)
        except (RedisError, OSError) as error:
            failed.append(repr(error))
            raise

    with monkeypatch.context() as patch:
        patch.setattr(remote._connections, "send", counted)
        yield failed


injuries = pytest.mark.parametrize("injury", INJURIES)


@injuries
def test_values_are_computed_and_valkey_is_waited_for_once(
    injury: str, valkey: OwnValkey, department: Department, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt, heal = INJURIES[injury]
    levels: list[int] = []
    monkeypatch.setattr(access, "note", lambda *noted: levels.append(noted[2]))
    hurt(valkey)
    try:
        with failed_sends(monkeypatch) as failed:
            for number in range(100):
                key = (UUID(int=number),)
                assert store.get_or_compute(SHARED, key, lambda: "computed") == "computed"
                assert name_of(department) == "before"
        assert len(failed) <= 1
        assert breaker.is_open
        assert breaker.trips
        assert levels.count(Level.BYPASS) >= 199
    finally:
        heal(valkey)


@injuries
def test_a_change_meanwhile_is_seen_at_once_and_after_the_return(
    injury: str, valkey: OwnValkey, department: Department
) -> None:
    hurt, heal = INJURIES[injury]
    hurt(valkey)
    try:
        # Told to Valkey in vain.
        with transaction.atomic():
            Department.objects.filter(pk=department.pk).update(name="meanwhile")
            for space in SPACES.values():
                store.invalidate(space, (department.pk,))
        # Everybody hears of the loss within the listener's next sign of life.
        until(lambda: breaker.is_open and not local.is_open)
        for space in SPACES:
            assert name_of(department, space) == "meanwhile"
        # Told to nobody at all; no relay runs in this test.
        Department.objects.filter(pk=department.pk).update(name="after")
        for space in SPACES:
            assert name_of(department, space) == "after"
    finally:
        heal(valkey)
    until(lambda: local.is_open and not breaker.is_open)
    assert not InvalidationOutbox.objects.exists()
    for space in SPACES:
        for _again in range(3):
            assert name_of(department, space) == "after"
    # And it is a cache again.
    assert Redis.from_url(valkey.url).keys("v:*")


@injuries
def test_a_process_that_only_hits_learns_of_the_loss(
    injury: str, valkey: OwnValkey, department: Department
) -> None:
    hurt, heal = INJURIES[injury]
    hurt(valkey)
    try:
        # Another process changes it; nothing is asked of Valkey here but what it holds.
        Department.objects.filter(pk=department.pk).update(name="after")
        until(lambda: name_of(department) == name_of(department, KEPT.name) == "after")
    finally:
        heal(valkey)


@injuries
def test_the_relay_keeps_its_rows_until_valkey_is_back(
    injury: str, valkey: OwnValkey, department: Department
) -> None:
    hurt, heal = INJURIES[injury]
    # The relay's own process has no listener that could do its work.
    listener.listener.stop()
    hurt(valkey)
    stopping = threading.Event()
    worker = threading.Thread(target=relay.run, args=(stopping,))
    try:
        Department.objects.filter(pk=department.pk).update(name="after")
        if injury != "out of memory":
            with pytest.raises(remote.Unavailable):
                relay.repeat_all()
            assert InvalidationOutbox.objects.filter(keyspace__in=SPACES).count() == len(SPACES)
        worker.start()
    finally:
        heal(valkey)
    until(lambda: not InvalidationOutbox.objects.exists())
    stopping.set()
    worker.join()
    client = Redis.from_url(valkey.url)
    assert not client.keys(f"v:*{SHARED.name}*")


def test_a_listener_that_is_cut_off_empties_memory_and_comes_back(
    valkey: OwnValkey, department: Department
) -> None:
    assert kept_count() == 1
    client = remote.client()
    [tracking] = [one for one in client.client_list() if "t" in one["flags"]]
    client.client_kill_filter(_id=tracking["id"])
    until(lambda: kept_count() == 0)
    # While it was away another process has changed it, and told Valkey.
    Department.objects.filter(pk=department.pk).update(name="after")
    relay.repeat_all()
    until(lambda: local.is_open)
    assert name_of(department, KEPT.name) == "after"
    until_heard()
    for _again in range(3):
        assert name_of(department, KEPT.name) == "after"
    assert [one["id"] for one in client.client_list() if "t" in one["flags"]] != [tracking["id"]]


def test_without_a_listener_memory_is_neither_read_nor_filled(
    valkey: OwnValkey, department: Department
) -> None:
    local.shut()
    Department.objects.filter(pk=department.pk).update(name="after")
    relay.repeat_all()
    for _again in range(3):
        assert name_of(department, KEPT.name) == "after"
    assert kept_count() == 0


def test_a_forked_child_listens_for_itself_whatever_locks_were_held(
    valkey: OwnValkey, department: Department
) -> None:
    memory = local._memories[KEPT.name]
    is_held, may_let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with memory._lock, breaker._lock:
            is_held.set()
            may_let_go.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()
    # The child must not use the parent's connections; the pool's are made anew where it asks.
    connection.close()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = _live_as_child(department)
        finally:
            os._exit(code)
    may_let_go.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _live_as_child(department: Department) -> int:
    until_heard()
    for _again in range(3):
        found = store.get_or_compute(KEPT, (department.pk,), lambda: "before")
        until_heard()
    is_kept = kept_count() == 1
    own = {one["id"] for one in remote.client().client_list() if "t" in one["flags"]}
    # As another process would: only the listener can tell.
    keys = valkey_keys(department)
    remote.INVALIDATE(keys, 60_000, "0")
    until_heard()
    is_dropped = kept_count() == 0
    return 0 if found == "before" and is_kept and is_dropped and len(own) == 2 else 3


def valkey_keys(department: Department) -> tuple[str, str, str]:
    from apps.caching import keyspaces, policies

    digest = keyspaces.digest(KEPT, (department.pk,))
    return remote.keys_of(KEPT.name, policies.of(KEPT).epoch, digest)


def kept_count() -> int:
    figures = local.figures().get(KEPT.name)
    return figures.entries if figures else 0
