"""Changes that wait for their time: tested twice, made once, and taken back."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.llm.models import Provider
from apps.tuning import registry, rows, scheduling, services
from apps.tuning.models import Revision, Right, ScheduledChange
from apps.tuning.registry import Parameter, ParameterError, TuningError
from apps.tuning.rights import NotAllowedError
from apps.tuning.rows import RowError
from apps.tuning.tasks import apply_scheduled
from tests.factories.llm import ProviderFactory

pytestmark = pytest.mark.django_db

NAME = "documents.retrieval_feedback_weight"
HOUR = timedelta(hours=1)


def scheduled(author: User | None = None, **values: object) -> ScheduledChange:
    return scheduling.schedule(
        values=values or {NAME: 0.5},
        due_at=timezone.now() + HOUR,
        author_id=author and author.pk,
        reason="tonight",
    )


def due(change: ScheduledChange) -> None:
    """Let the change's time have come."""
    ScheduledChange.objects.filter(pk=change.pk).update(due_at=timezone.now())


def test_it_is_made_when_its_time_has_come_and_not_before(admin_user: User) -> None:
    change = scheduled(admin_user)
    apply_scheduled()
    assert not Revision.objects.exists()
    due(change)
    apply_scheduled()
    change.refresh_from_db()
    revision = Revision.objects.get()
    assert (change.revision, bool(change.applied_at)) == (revision, True)
    assert (revision.values, revision.author) == ({NAME: 0.5}, admin_user)
    assert revision.reason == "tonight"
    apply_scheduled()
    assert Revision.objects.count() == 1


def test_a_row_s_values_wait_too() -> None:
    provider = ProviderFactory(name="Old")
    change = scheduling.schedule(
        subject=rows.subject_of(provider),
        values={"name": "New", "read_timeout_seconds": 9.0},
        due_at=timezone.now() + HOUR,
        author_id=None,
    )
    assert change.label == "Old"
    due(change)
    assert scheduling.apply_due() == 1
    provider.refresh_from_db()
    assert (provider.name, provider.read_timeout_seconds) == ("New", 9.0)


def test_what_would_be_refused_now_is_not_scheduled(admin_user: User, colleague: User) -> None:
    provider = ProviderFactory()
    subject = rows.subject_of(provider)
    Right.objects.create(pattern="chat.*", person=colleague)
    with pytest.raises(ParameterError):
        scheduled(**{NAME: 9.0})
    with pytest.raises(NotAllowedError):
        scheduled(admin_user, **{"chat.sentence_count": 2})
    for values in ({"read_timeout_seconds": -1}, {"secret": "sk-1"}, {"no_such": 1}):
        with pytest.raises(RowError):
            scheduling.schedule(
                subject=subject, values=values, due_at=timezone.now() + HOUR, author_id=None
            )
    with pytest.raises(TuningError, match="time to come"):
        scheduling.schedule(values={NAME: 0.5}, due_at=timezone.now(), author_id=None)
    assert not ScheduledChange.objects.exists()
    assert not Revision.objects.exists()


def test_a_change_refused_at_its_time_keeps_the_reason_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = ProviderFactory()
    gone = scheduling.schedule(
        subject=rows.subject_of(provider),
        values={"name": "New"},
        due_at=timezone.now() + HOUR,
        author_id=None,
    )
    Provider.objects.all().delete()
    narrowed, good = scheduled(), scheduled(**{NAME: 0.1})
    parameter = registry.get(NAME)
    for change in (gone, narrowed, good):
        due(change)
    monkeypatch.setitem(
        registry._parameters,
        NAME,
        Parameter(name=NAME, default=0.2, minimum=0, maximum=0.3, help_text=parameter.help_text),
    )
    assert scheduling.apply_due() == 1
    for change, told in ((gone, "was deleted meanwhile"), (narrowed, "above the most")):
        change.refresh_from_db()
        assert told in change.error
        assert change.refused_at
        assert not change.applied_at
    assert Revision.objects.get().values == {NAME: 0.1}
    assert scheduling.apply_due() == 0


def test_the_author_s_right_is_asked_again_at_its_time(admin_user: User) -> None:
    change = scheduled(admin_user)
    admin_user.is_operator = False
    admin_user.save(update_fields=["is_operator"])
    due(change)
    assert scheduling.apply_due() == 0
    change.refresh_from_db()
    assert change.error == "Only operators change settings."


def test_a_cancelled_change_is_never_made(admin_user: User) -> None:
    change = scheduled()
    assert scheduling.cancel(scheduled=change, user_id=admin_user.pk)
    assert not scheduling.cancel(scheduled=change, user_id=admin_user.pk)
    due(change)
    assert scheduling.apply_due() == 0
    change.refresh_from_db()
    assert (change.cancelled_by, change.applied_at) == (admin_user, None)


def test_only_who_may_turn_it_may_cancel_it(admin_user: User, colleague: User) -> None:
    change = scheduled()
    Right.objects.create(pattern="documents.*", person=colleague)
    with pytest.raises(NotAllowedError):
        scheduling.cancel(scheduled=change, user_id=admin_user.pk)
    change.refresh_from_db()
    assert change.is_waiting


def test_a_change_ends_one_way_only() -> None:
    change = scheduled()
    now = timezone.now()
    with pytest.raises(IntegrityError), transaction.atomic():
        ScheduledChange.objects.filter(pk=change.pk).update(applied_at=now, cancelled_at=now)


def test_a_failure_leaves_its_change_due_and_the_others_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing, good = scheduled(), scheduled(**{"chat.sentence_count": 2})
    for change in (failing, good):
        due(change)
    real = services.change

    def change_or_fail(**options: object) -> Revision | None:
        if NAME in options["values"]:  # type: ignore[operator]
            raise RuntimeError("the machine is out of order")
        return real(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(services, "change", change_or_fail)
    with pytest.raises(RuntimeError):
        scheduling.apply_due()
    failing.refresh_from_db()
    good.refresh_from_db()
    assert (failing.is_waiting, good.is_waiting) == (True, False)


@pytest.mark.django_db(transaction=True)
def test_two_workers_make_it_once() -> None:
    change = scheduled()
    due(change)
    both = threading.Barrier(2)
    counts: list[int] = []

    def work() -> None:
        try:
            both.wait()
            counts.append(scheduling.apply_due())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _worker in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 1]
    assert Revision.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_both_stand_and_ids_rise_with_commits() -> None:
    both = threading.Barrier(2)

    def turn(name: str, value: object) -> None:
        try:
            both.wait()
            services.change(values={name: value}, author_id=None)  # type: ignore[dict-item]
        finally:
            connection.close()

    threads = [
        threading.Thread(target=turn, args=pair)
        for pair in ((NAME, 0.5), ("chat.sentence_count", 2))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = Revision.objects.latest("pk")
    assert newest.is_active
    assert newest.values == {NAME: 0.5, "chat.sentence_count": 2}
