"""Caches against the truth: real PostgreSQL, Valkey and processes, killed, flushed and cut off between any two steps.

A cached value is never older than the last completed invalidation of its key, and once the relay has caught up every
read in every process is current.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from uuid import UUID

import pytest
from django.db import connection, connections, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    rule,
    run_state_machine_as_test,
)

from apps.accounts.models import Department
from apps.caching import keyspaces, outbox, relay, remote, store
from apps.caching.keyspaces import Keyspace
from apps.caching.models import CachePolicy, InvalidationOutbox
from tests.caching.processes.barrier import until_heard
from tests.caching.processes.forker import RELAY_DEATHS, WRITER_DEATHS
from tests.caching.processes.spaces import SHARED, SPACES, declared, triggers
from tests.caching.processes.talking import Helper
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = st.sampled_from(range(2))
SPACE_NAMES = st.sampled_from(sorted(SPACES))
KILLED = -9


@pytest.fixture
def departments_are_cached() -> Iterator[None]:
    """Keyspaces over departments, kept fresh by triggers."""
    making, dropping = triggers()
    with declared(*SPACES.values()):
        with connection.cursor() as cursor:
            cursor.execute(making)
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute(dropping)


@pytest.fixture
def helpers(departments_are_cached: None) -> Iterator[None]:
    """A process that reads, and one that forks what is to be killed."""
    with Helper("reader") as reader, Helper("forker") as forker:
        CachedDepartments.reader, CachedDepartments.forker = reader, forker
        yield


class CachedDepartments(RuleBasedStateMachine):
    """What may happen to two departments whose names are the numbers of their changes."""

    reader: ClassVar[Helper]
    forker: ClassVar[Helper]
    slow_reads = Bundle("slow_reads")

    @initialize()
    def begin(self) -> None:
        self.departments = [DepartmentFactory(name="0") for _key in range(2)]
        self.committed = [0, 0]
        # By keyspace and department: what the last completed invalidation was for.
        self.settled = {(space, key): 0 for space in SPACES for key in range(2)}
        self.slow: dict[tuple[str, int], int] = {}
        until_heard()
        self.reader.ask("forget_and_listen")

    # Changes.

    @rule(key=KEYS, die_at=st.sampled_from([None, *WRITER_DEATHS]))
    def rename_by_service(self, key: int, die_at: str | None) -> None:
        arguments = {"department": self.id_of(key), "name": str(self.committed[key] + 1)}
        code = self.forker.ask("write", **arguments, die_at=die_at)
        assert code == (KILLED if die_at else 0)
        if die_at in ("before writing", "before commit"):
            return
        self.committed[key] += 1
        if die_at != "after commit":
            self.settled[SHARED.name, key] = self.committed[key]
        if die_at in (None, "after invalidations"):
            self.settle([key])

    @rule(key=KEYS)
    def rename_here(self, key: int) -> None:
        with transaction.atomic():
            self.department(key).update(name=str(self.committed[key] + 1))
            for space in SPACES.values():
                store.invalidate(space, (self.departments[key].pk,))
        self.committed[key] += 1
        self.settle([key])

    @rule(key=KEYS)
    def rename_in_bulk_telling_nobody(self, key: int) -> None:
        self.department(key).update(name=str(self.committed[key] + 1))
        self.committed[key] += 1

    @rule()
    def rename_all_in_raw_sql(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE accounts_department SET name = (name::int + 1)::text")
        self.committed = [version + 1 for version in self.committed]

    # The relay.

    @rule()
    def relay_catches_up(self) -> None:
        # A listener that comes back repeats rows too, and a dead relay's locks last a moment: both are waited for.
        while InvalidationOutbox.objects.exists():
            relay.repeat_all()
        self.settle(range(2))

    @rule()
    def relay_of_another_release_catches_up(self) -> None:
        with unknown(*SPACES.values()):
            self.relay_catches_up()

    @rule(die_at=st.sampled_from(RELAY_DEATHS))
    def relay_dies(self, die_at: str) -> None:
        # Unless another has the rows.
        assert self.forker.ask("relay", die_at=die_at) in (KILLED, 0)

    # Losses.

    @rule()
    def flush(self) -> None:
        remote.client().flushall()

    @rule(key=KEYS, space=SPACE_NAMES, which=st.sampled_from(["value", "generation", "lease"]))
    def evict(self, key: int, space: str, which: str) -> None:
        names = ("value", "generation", "lease")
        remote.client().delete(self.valkey_keys(space, key)[names.index(which)])

    @rule()
    def cut_listeners_off(self) -> None:
        client = remote.client()
        for one in client.client_list():
            if "t" in one["flags"]:
                client.client_kill_filter(_id=one["id"])

    @rule(key=KEYS)
    def change_while_listeners_are_away(self, key: int) -> None:
        self.cut_listeners_off()
        self.rename_in_bulk_telling_nobody(key)
        # By a relay that is not cut off: no listener will find a row to repeat when it is back.
        self.relay_catches_up()

    # Reads.

    @rule(key=KEYS, space=SPACE_NAMES)
    def read_here(self, key: int, space: str) -> None:
        until_heard()
        settled = self.settled[space, key]
        assert settled <= self.read(space, key) <= self.committed[key]

    @rule(key=KEYS, space=SPACE_NAMES)
    def read_there(self, key: int, space: str) -> None:
        if (space, key) in self.slow:
            return
        self.reader.ask("barrier")
        settled = self.settled[space, key]
        assert settled <= self.read_in_reader(space, key) <= self.committed[key]

    @rule(target=slow_reads, key=KEYS, space=SPACE_NAMES)
    def begin_slow_read_there(self, key: int, space: str) -> tuple[str, int]:
        if (space, key) not in self.slow:
            self.reader.ask("barrier")
            settled = self.settled[space, key]
            seen = self.reader.ask("begin", space=space, department=self.id_of(key))
            assert seen is None or int(seen) == self.committed[key]
            self.slow[space, key] = settled
        return space, key

    @rule(read=consumes(slow_reads))
    def finish_slow_read_there(self, read: tuple[str, int]) -> None:
        if read in self.slow:
            self.finish(*read)

    @rule(key=KEYS, space=SPACE_NAMES)
    def reader_dies_computing(self, key: int, space: str) -> None:
        assert self.forker.ask("read", space=space, department=self.id_of(key)) in (KILLED, 0)

    # The end.

    def teardown(self) -> None:
        if not hasattr(self, "slow"):
            return
        try:
            self.relay_catches_up()
            self.assert_all_current()
            # Now what was read before the changes would be filled in.
            for space, key in list(self.slow):
                self.finish(space, key)
            self.assert_all_current()
        finally:
            for space, key in list(self.slow):
                self.finish(space, key)
            Department.objects.all().delete()
            InvalidationOutbox.objects.all().delete()
            remote.client().flushall()

    def assert_all_current(self) -> None:
        until_heard()
        self.reader.ask("barrier")
        for space, key in self.settled:
            assert self.read(space, key) == self.committed[key]
            if (space, key) not in self.slow:
                assert self.read_in_reader(space, key) == self.committed[key]

    # Small things.

    def settle(self, keys: list[int] | range) -> None:
        for key in keys:
            for space in SPACES:
                self.settled[space, key] = self.committed[key]

    def finish(self, space: str, key: int) -> None:
        settled = self.slow.pop((space, key))
        seen = int(self.reader.ask("finish", space=space, department=self.id_of(key)))
        assert settled <= seen <= self.committed[key]

    def read(self, space: str, key: int) -> int:
        department = self.departments[key].pk
        return int(
            store.get_or_compute(
                SPACES[space],
                (department,),
                lambda: Department.objects.values_list("name", flat=True).get(pk=department),
            )
        )

    def read_in_reader(self, space: str, key: int) -> int:
        return int(self.reader.ask("read", space=space, department=self.id_of(key)))

    def department(self, key: int) -> "Department.objects":  # type: ignore[name-defined]
        return Department.objects.filter(pk=self.departments[key].pk)

    def id_of(self, key: int) -> str:
        return str(self.departments[key].pk)

    def valkey_keys(self, space: str, key: int) -> tuple[str, str, str]:
        invalidation, _arguments = outbox.invalidation(SPACES[space], (UUID(self.id_of(key)),))
        return invalidation


def run(*, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        CachedDepartments,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            # Processes don't repeat themselves exactly: the first failure is told as it was.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("helpers")
def test_no_order_of_changes_deaths_and_losses_leaves_a_stale_value() -> None:
    run(examples=12, steps=40)


@pytest.mark.benchmark
@pytest.mark.usefixtures("helpers")
def test_no_order_of_changes_deaths_and_losses_leaves_a_stale_value_at_length() -> None:
    run(examples=40, steps=60)


@pytest.fixture
def department(departments_are_cached: None) -> Department:
    found: Department = DepartmentFactory(name="before")
    relay.repeat_all()
    until_heard()
    return found


def read(space: Keyspace[str], department: Department) -> str:
    return store.get_or_compute(
        space,
        (department.pk,),
        lambda: Department.objects.values_list("name", flat=True).get(pk=department.pk),
    )


def rename(department: Department) -> None:
    Department.objects.filter(pk=department.pk).update(name="after")


def test_a_relay_that_has_not_heard_of_a_purge_invalidates_what_is_read_since(
    department: Department,
) -> None:
    there = {"space": SHARED.name, "department": str(department.pk)}
    with Helper("reader") as reader:
        assert read(SHARED, department) == "before"
        # The other process learns of the purge, this one has not looked again.
        CachePolicy.objects.create(keyspace=SHARED.name, epoch=1)
        reader.ask("forget_and_listen")
        assert reader.ask("read", **there) == "before"
        rename(department)
        relay.repeat_all()
        assert reader.ask("read", **there) == "after"


def test_a_row_that_nobody_understands_does_not_hold_up_the_others(department: Department) -> None:
    assert read(SHARED, department) == "before"
    InvalidationOutbox.objects.create(keyspace=SHARED.name, key=["of", "another", "shape"])
    InvalidationOutbox.objects.create(keyspace="tests:forgotten:1", key=["x"])
    rename(department)
    relay.repeat_all()
    assert not InvalidationOutbox.objects.exists()
    assert read(SHARED, department) == "after"


@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
def test_a_relay_of_another_release_keeps_keyspaces_fresh_that_it_does_not_know(
    space: Keyspace[str], department: Department, epoch: int
) -> None:
    CachePolicy.objects.create(keyspace=space.name, epoch=epoch)
    there = {"space": space.name, "department": str(department.pk)}
    with Helper("reader") as reader:
        reader.ask("forget_and_listen")
        for _kept in range(2):
            assert reader.ask("read", **there) == "before"
            reader.ask("barrier")
        rename(department)
        with unknown(space):
            relay.repeat_all()
        assert not InvalidationOutbox.objects.exists()
        reader.ask("barrier")
        assert reader.ask("read", **there) == "after"


@contextmanager
def unknown(*spaces: Keyspace[str]) -> Iterator[None]:
    """Have this process be of a release that does not declare the keyspaces."""
    for space in spaces:
        del keyspaces._keyspaces[space.name]
    try:
        yield
    finally:
        for space in spaces:
            keyspaces.register(space)


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
def test_a_transaction_reads_its_own_writes_past_every_level(
    space: Keyspace[str], department: Department
) -> None:
    for _again in range(3):
        assert read(space, department) == "before"
        until_heard()
    with transaction.atomic():
        rename(department)
        assert read(space, department) == "after"
        transaction.set_rollback(True)
    for _again in range(3):
        assert read(space, department) == "before"


@pytest.mark.parametrize("space", SPACES.values(), ids=lambda space: space.name)
def test_a_process_reads_its_own_change_at_once(
    space: Keyspace[str], department: Department
) -> None:
    """Also where a read that began before the change is still under way in another thread."""
    may_go_on, has_seen = threading.Event(), threading.Event()

    def slow() -> str:
        name = Department.objects.values_list("name", flat=True).get(pk=department.pk)
        has_seen.set()
        may_go_on.wait()
        return str(name)

    def run() -> None:
        try:
            assert store.get_or_compute(space, (department.pk,), slow) == "before"
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    has_seen.wait()
    with transaction.atomic():
        rename(department)
        store.invalidate(space, (department.pk,))
    assert read(space, department) == "after"
    may_go_on.set()
    thread.join()
    until_heard()
    assert read(space, department) == "after"
