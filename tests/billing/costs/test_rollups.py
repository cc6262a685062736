"""Settled calls come to the totals once each, whoever adds them, and however they end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Sum
from django.utils import timezone

from apps.billing import tasks
from apps.billing.costs import rollups
from apps.billing.costs.overview import CostFilter, Dimension, overview
from apps.billing.models import (
    DailyCost,
    DepartmentCost,
    DepartmentHourCost,
    HourlyCost,
    MemberCost,
    MonthlyCost,
    OrganisationCost,
    PersonCost,
    PersonDayCost,
    PersonMonthlyCost,
    PersonWeekCost,
    Reservation,
    UsageRecord,
)
from project.supervisor.data_folder import REPOSITORY
from tests.billing.costs.calls import DAY, Organisation, month
from tests.tuning import turning
from tests.tuning.turning import turns

TOTALS = (
    DepartmentCost,
    HourlyCost,
    DailyCost,
    PersonCost,
    PersonDayCost,
    MonthlyCost,
    PersonMonthlyCost,
    DepartmentHourCost,
    OrganisationCost,
    MemberCost,
    PersonWeekCost,
)
ROLL_UP = """
import django
django.setup()
from apps.billing.costs.rollups import roll_up_batch
roll_up_batch(limit=1000)
"""


@pytest.fixture
def organisation(db: None) -> Organisation:
    """Nobody has made a call yet."""
    return Organisation()


@pytest.fixture
def committed_organisation(transactional_db: None) -> Organisation:
    """The same, for tests with several connections."""
    return Organisation()


def waiting() -> int:
    return Reservation.objects.filter(state="SETTLED", is_rolled_up=False).count()


def totals() -> set[tuple[int, int]]:
    """Return the calls and nanos of each table of totals."""
    sums = (total.objects.aggregate(Sum("call_count"), Sum("amount_nanos")) for total in TOTALS)
    return {(one["call_count__sum"] or 0, one["amount_nanos__sum"] or 0) for one in sums}


def in_records() -> tuple[int, int]:
    amounts = UsageRecord.objects.values_list("amount_nanos", flat=True)
    return len(amounts), sum(amounts)


def test_a_batch_takes_no_more_than_its_size_and_each_call_once(organisation: Organisation) -> None:
    organisation.spend_by(month(2026, 10), count=25)
    assert [rollups.roll_up_batch(limit=10) for _ in range(4)] == [10, 10, 5, 0]
    assert waiting() == 0
    assert totals() == {in_records()}
    assert rollups.differences(starts_at=month(2026, 10)[0]) == []


def test_calls_that_agree_share_a_row(organisation: Organisation) -> None:
    at = month(2026, 10)[0] + timedelta(hours=9)
    alike: dict[str, Any] = {
        "department_id": organisation.departments[0].pk,
        "api_key_id": None,
        "product": "chat",
        "purpose": "ANSWER",
        "tags": (),
        "model_code": "small",
    }
    for hours, person in ((0, 0), (0, 1), (1, 1), (30, 1)):
        organisation.call(
            at=at + timedelta(hours=hours), user_id=organisation.people[person].pk, **alike
        )
        rollups.roll_up_batch(limit=1)
    counts = {total.__name__: total.objects.count() for total in TOTALS}
    assert counts == {
        "DepartmentCost": 2,
        "HourlyCost": 3,
        "DailyCost": 2,
        "PersonCost": 3,
        "PersonDayCost": 3,
        "MonthlyCost": 1,
        "PersonMonthlyCost": 2,
        "DepartmentHourCost": 3,
        "OrganisationCost": 2,
        "MemberCost": 2,
        "PersonWeekCost": 2,
    }
    assert totals() == {in_records()}


def test_open_and_void_calls_are_in_no_total(organisation: Organisation) -> None:
    organisation.spend_by(month(2026, 10), count=3)
    Reservation.objects.filter(pk=UsageRecord.objects.values("pk")[:1]).update(state="OPEN")
    assert rollups.roll_up_batch(limit=10) == 2


@turns("billing.rollup_batch_size", "billing.rollup_window_seconds")
def test_calls_are_due_when_they_fill_a_batch_or_have_waited(
    organisation: Organisation, django_capture_on_commit_callbacks: Any
) -> None:
    def turn(name: str, value: int) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            turning.turn(name, value)

    turn("billing.rollup_window_seconds", 60)
    turn("billing.rollup_batch_size", 5)
    now = timezone.now()
    organisation.spend_by((now, now), count=12)
    assert rollups.roll_up(at=now) == 10
    assert waiting() == 2
    assert rollups.roll_up(at=now + timedelta(seconds=59)) == 0
    turn("billing.rollup_window_seconds", 30)
    assert rollups.roll_up(at=now + timedelta(seconds=59)) == 2
    organisation.spend_by((now, now), count=4)
    turn("billing.rollup_batch_size", 4)
    assert rollups.roll_up(at=now) == 4


def test_the_task_adds_what_is_due(organisation: Organisation) -> None:
    moment = timezone.now() - DAY
    organisation.spend_by((moment, moment), count=2)
    tasks.roll_up()
    assert waiting() == 0


def test_calls_that_another_worker_holds_are_left_to_it(
    committed_organisation: Organisation,
) -> None:
    committed_organisation.spend_by(month(2026, 10), count=6)
    held = UsageRecord.objects.order_by("id").values_list("pk", flat=True)[:4]
    with transaction.atomic():
        assert len(Reservation.objects.select_for_update().filter(pk__in=[*held])) == 4
        assert run_apart(lambda: rollups.roll_up_batch(limit=100)) == [2]
    assert rollups.roll_up_batch(limit=100) == 4
    assert totals() == {in_records()}


def test_workers_at_the_same_time_add_each_call_once(committed_organisation: Organisation) -> None:
    committed_organisation.spend_by(month(2026, 10), count=60)

    def work() -> int:
        added = 0
        while waiting():
            added += rollups.roll_up_batch(limit=3)
        return added

    assert sum(run_apart(work, work, work)) == 60
    assert totals() == {in_records()}


def test_totals_remade_while_calls_settle_and_batches_run_stay_right(
    committed_organisation: Organisation,
) -> None:
    span = month(2026, 10)
    has_ended = threading.Event()

    def settle() -> int:
        try:
            committed_organisation.spend_by(span, count=50)
        finally:
            has_ended.set()
        return 50

    def add() -> int:
        added = 0
        while not has_ended.is_set() or waiting():
            added += rollups.roll_up_batch(limit=4)
        return added

    def remake() -> int:
        count = 0
        while not has_ended.is_set() or not count:
            rollups.remake(starts_at=span[0])
            assert rollups.differences(starts_at=span[0]) == []
            count += 1
        return count

    settled, added, remade = run_apart(settle, add, remake)
    assert (settled, added) == (50, 50)
    assert remade
    assert totals() == {in_records()}
    assert rollups.differences(starts_at=span[0]) == []


def test_a_worker_killed_in_the_middle_has_added_nothing(
    committed_organisation: Organisation,
) -> None:
    span = month(2026, 10)
    committed_organisation.spend_by(span, count=15)
    rollups.roll_up_batch(limit=15)
    before = totals()
    committed_organisation.spend_by(span, count=14)
    add_like_one_before(committed_organisation)
    with transaction.atomic():
        # The last table of a batch: all others are written when it comes to wait here.
        assert len(PersonMonthlyCost.objects.select_for_update()) > 0
        worker = subprocess.Popen(
            [sys.executable, "-c", ROLL_UP], cwd=REPOSITORY, env={**os.environ, **own_database()}
        )
        while not others("wait_event_type = 'Lock'"):
            assert worker.poll() is None
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert worker.returncode == -signal.SIGKILL
    while others():
        pass
    assert totals() == before
    assert waiting() == 15
    assert rollups.roll_up_batch(limit=100) == 15
    assert totals() == {in_records()}
    assert rollups.differences(starts_at=span[0]) == []


def test_wrong_totals_are_found_and_made_right(organisation: Organisation) -> None:
    span = month(2026, 10)
    organisation.spend_by(span, count=20)
    organisation.spend_by(month(2026, 9), count=5)
    rollups.roll_up_batch(limit=22)
    right = overview(CostFilter(*span), list(Dimension))
    daily = DailyCost.objects.filter(starts_at__gte=span[0])
    missing, more = daily[0], daily[1]
    missing.delete()
    more.amount_nanos += 77
    more.save(update_fields=["amount_nanos"])
    MonthlyCost.objects.filter(starts_at=span[0]).first().delete()  # type: ignore[union-attr]
    found = {one.total_name: one for one in rollups.differences(starts_at=span[0])}
    assert {name: one.row_count for name, one in found.items()} == {
        "dailycost": 2,
        "monthlycost": 1,
    }
    assert found["dailycost"].off_nanos == 77 + missing.amount_nanos
    assert rollups.differences(starts_at=month(2026, 9)[0]) == []
    rollups.remake(starts_at=span[0])
    assert rollups.differences(starts_at=span[0]) == []
    assert overview(CostFilter(*span), list(Dimension)) == right


def test_months_of_another_time_zone_can_be_remade(
    organisation: Organisation, settings: Any
) -> None:
    settings.BILLING_TIME_ZONE = "Asia/Kolkata"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_book SET time_zone = 'Asia/Kolkata'")
    span = month(2026, 10)
    organisation.spend_by((span[0] - DAY, span[1] + DAY), count=40)
    rollups.roll_up_batch(limit=30)
    for starts_at, _ in (month(2026, 9), span, month(2026, 11)):
        assert rollups.differences(starts_at=starts_at) == []
        rollups.remake(starts_at=starts_at)
        assert rollups.differences(starts_at=starts_at) == []


def run_apart(*works: Callable[[], int]) -> list[int]:
    """Run each in a thread with a connection of its own; return what they returned, in their order."""

    def run(work: Callable[[], int]) -> int:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as threads:
        return [*threads.map(run, works)]


def own_database() -> dict[str, str]:
    """Return the environment that leads another process to the tests' own database."""
    url = os.environ["DATABASE_URL"].rpartition("/")[0]
    return {
        "DATABASE_URL": f"{url}/{connection.settings_dict['NAME']}",
        "DJANGO_SETTINGS_MODULE": os.environ.get(
            "DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE
        ),
    }


def others(condition: str = "true") -> int:
    """Return how many other connections there are that roll up."""
    with connection.cursor() as cursor:
        # Within a transaction the first look would be repeated.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            f" AND query LIKE '%billing_roll_up%' AND {condition}"
        )
        [count] = cursor.fetchone()
    return int(count)


def add_like_one_before(organisation: Organisation) -> None:
    """Make a call that comes to a row of every total that is there already."""
    like = UsageRecord.objects.filter(pk__in=Reservation.objects.filter(is_rolled_up=True))[0]
    names = ("department_id", "user_id", "api_key_id", "product", "purpose", "model_code")
    fields = {name: getattr(like, name) for name in names}
    organisation.call(at=like.created_at, tags=tuple(like.tags), **fields)
