"""The admin of the cache: every keyspace is there, a change acts on the very next read, and only operators get in."""

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.caching import contents, keyspaces, policies, remote, services, store
from apps.caching.breaker import breaker
from apps.caching.flusher import Buffer, Flusher
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.models import CachePolicy, InvalidationOutbox
from apps.caching.outcomes import Level
from apps.tuning import history
from apps.tuning.models import Revision, Right, ScheduledChange

BOOKS: Keyspace[str] = Keyspace(
    name="caching:books:1",
    key_fields=("shelf", "number"),
    help_text="Books of the tests.",
    fresh_by="Never, they are printed.",
    shared_by=Sharing.DEPARTMENT,
    ttl_seconds=600,
)


@pytest.fixture(autouse=True)
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyspace[str]]:
    """A keyspace that is declared for one test, without memory."""
    monkeypatch.setitem(keyspaces._keyspaces, BOOKS.name, BOOKS)
    remote.client().flushdb()
    policies.forget()
    contents.forget()
    yield BOOKS
    policies.forget()
    contents.forget()


@pytest.fixture
def operator(admin_user: User) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


LIST = reverse("admin:caching_cachepolicy_changelist")
PAGE = reverse("admin:caching_keyspace", args=[BOOKS.name])
PURGE = reverse("admin:caching_keyspace_purge", args=[BOOKS.name])
PURGE_KEY = reverse("admin:caching_keyspace_purge_key", args=[BOOKS.name])


def posted(**values: str) -> dict[str, str]:
    """What the browser sends of the policy's form: live values, and the values the page was opened with."""
    policy = services.policy_row(BOOKS.name)
    names = policies.TUNABLE
    stored = {name: getattr(policy, name) for name in names}
    data = {name: "" if value is None else str(value) for name, value in stored.items()}
    initial = {f"initial-{name}": value for name, value in data.items()}
    switch = {"is_enabled": "on", "initial-is_enabled": "True"} if policy.is_enabled else {}
    return {**data, **initial, **switch, **values}


def test_outsiders_are_sent_away(owner: User) -> None:
    for client in (Client(), Client()):
        for url in (LIST, PAGE):
            assert client.get(url).status_code == 302
        for url in (PAGE, PURGE, PURGE_KEY):
            assert client.post(url).status_code == 302
        client.force_login(owner)
    assert not CachePolicy.objects.exists()


@pytest.mark.django_db
def test_the_list_names_every_declared_keyspace(operator: Client) -> None:
    page = operator.get(LIST).content.decode()
    for keyspace in keyspaces.everything():
        assert reverse("admin:caching_keyspace", args=[keyspace.name]) in page
        assert keyspace.help_text.replace("'", "&#x27;") in page


@pytest.mark.django_db(transaction=True)
def test_the_pages_show_hand_made_reads_exactly(operator: Client) -> None:
    now = timezone.now().timestamp()
    buffer = Buffer(100)
    buffer.accesses.extend([(BOOKS.name, "0" * 32, Level.L2, now, 200.0, 9000.0, 2_000_000)] * 3)
    buffer.accesses.extend([(BOOKS.name, "0" * 32, Level.MISS, now, 9000.0, 9000.0, 0)] * 1)
    Flusher(buffer, interval_seconds=1).flush()
    for url in (LIST, PAGE):
        page = operator.get(url).content.decode()
        assert "75.0 %" in page
        assert "26 ms" in page
        assert "0.0060 $" in page
    assert operator.get(PAGE + "?span=hour").context["chart"]["valkey"][-2:].count(3) == 1


@pytest.mark.django_db
def test_a_keyspace_s_page_tells_what_it_is_and_what_each_value_does(operator: Client) -> None:
    page = operator.get(PAGE).content.decode()
    for told in ("Books of the tests.", "Never, they are printed.", "people of one department"):
        assert told in page
    for name in ("shelf", "number"):
        assert f"<code>{name}</code>" in page
    assert "<strong>600 s</strong>" in page
    assert "from 1 to 2,678,400" in page
    assert "declares it without process memory" in page


@pytest.mark.django_db
def test_the_queries_of_a_page_do_not_grow_with_the_keyspaces(
    operator: Client, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: object
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    operator.get(LIST)
    with CaptureQueriesContext(connection) as few:
        operator.get(LIST)
    for number in range(20):
        name = f"caching:more-{number}:1"
        more: Keyspace[str] = Keyspace(
            name=name,
            key_fields=("number",),
            help_text="More.",
            fresh_by="Never.",
            shared_by=Sharing.USER,
            ttl_seconds=60,
        )
        monkeypatch.setitem(keyspaces._keyspaces, name, more)
    policies.forget()
    operator.get(LIST)
    with CaptureQueriesContext(connection) as many:
        operator.get(LIST)
    assert len(many) == len(few)


@pytest.mark.django_db(transaction=True)
def test_a_change_acts_on_the_very_next_read(operator: Client, admin_user: User) -> None:
    computed: list[int] = []

    def compute() -> str:
        computed.append(1)
        return "value"

    def read() -> int:
        store.get_or_compute(BOOKS, ("a", "1"), compute)
        return len(computed)

    assert [read(), read()] == [1, 1]
    off = {**posted(journal_reason="it is wrong")}
    del off["is_enabled"]
    assert operator.post(PAGE, off).status_code == 302
    assert [read(), read()] == [2, 3]
    assert operator.post(PAGE, posted(ttl_seconds="30")).status_code == 302
    revision = Revision.objects.latest("pk")
    assert revision.subject == f"caching.cachepolicy:{BOOKS.name}"
    assert revision.author == admin_user
    assert revision.changed == {"ttl_seconds": [None, 30.0]}
    assert policies.of(BOOKS).ttl_seconds == 30
    # Emptied, the shipped value is back.
    assert operator.post(PAGE, posted(ttl_seconds="")).status_code == 302
    assert policies.of(BOOKS).ttl_seconds == 600
    assert "it is wrong" in operator.get(PAGE).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ttl_seconds": "0"}, "greater than or equal to 1"),
        ({"ttl_seconds": "soon"}, "Enter a number."),
        ({"jitter_ratio": "0.9"}, "less than or equal to 0.5"),
        ({"max_value_bytes": "1.5"}, "Enter a whole number."),
        ({"ttl_seconds": "60", "journal_due_at": "2020-01-01T10:00"}, "Choose a time to come"),
    ],
)
def test_what_can_t_be_is_refused_beside_its_field(
    operator: Client, values: dict[str, str], said: str
) -> None:
    response = operator.post(PAGE, posted(**values))
    assert response.status_code == 200
    assert said in response.content.decode()
    assert not CachePolicy.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_page_opened_before_another_s_change_does_not_undo_it(operator: Client) -> None:
    opened = posted(jitter_ratio="0.2")
    services.set_policy(name=BOOKS.name, values={"ttl_seconds": 90}, author_id=None)
    assert operator.post(PAGE, opened).status_code == 302
    row = CachePolicy.objects.get()
    assert (row.ttl_seconds, row.jitter_ratio) == (90, 0.2)


@pytest.mark.django_db(transaction=True)
def test_a_change_can_wait_for_its_time(operator: Client) -> None:
    due_at = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert operator.post(PAGE, posted(ttl_seconds="45", journal_due_at=due_at)).status_code == 302
    [waiting] = ScheduledChange.objects.all()
    assert waiting.values == {"ttl_seconds": 45.0}
    assert policies.of(BOOKS).ttl_seconds == 600
    assert "Still to come" in operator.get(PAGE).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_rollback_brings_values_back_but_no_purged_entry(admin_user: User) -> None:
    first = services.set_policy(name=BOOKS.name, values={"ttl_seconds": 30}, author_id=None)
    assert first is not None
    services.set_policy(name=BOOKS.name, values={"ttl_seconds": 90}, author_id=None)
    store.get_or_compute(BOOKS, ("a", "1"), lambda: "old")
    services.purge(name=BOOKS.name, author_id=None)
    history.rollback(revision=first, author_id=admin_user.pk)
    assert policies.of(BOOKS).ttl_seconds == 30
    assert policies.of(BOOKS).epoch == 1
    assert store.get_or_compute(BOOKS, ("a", "1"), lambda: "new") == "new"


@pytest.mark.django_db(transaction=True)
def test_memory_can_t_be_given_to_a_keyspace_declared_without() -> None:
    with pytest.raises(services.PolicyError, match="declares it without"):
        services.set_policy(name=BOOKS.name, values={"l1_ttl_seconds": 5}, author_id=None)
    with pytest.raises(services.PolicyError, match="there are: is_enabled"):
        services.set_policy(name=BOOKS.name, values={"epoch": 0}, author_id=None)


@pytest.mark.django_db(transaction=True)
def test_purging_all_leaves_every_entry_behind(operator: Client, admin_user: User) -> None:
    store.get_or_compute(BOOKS, ("a", "1"), lambda: "old")
    refused = operator.post(PURGE, {"reason": "why not"})
    assert "Tick the box" in refused.content.decode()
    assert store.get_or_compute(BOOKS, ("a", "1"), lambda: "new") == "old"
    done = operator.post(PURGE, {"is_confirmed": "on", "reason": "a wrong import"})
    assert done.status_code == 302
    assert store.get_or_compute(BOOKS, ("a", "1"), lambda: "new") == "new"
    revision = Revision.objects.latest("pk")
    assert (revision.author, revision.reason) == (admin_user, "a wrong import")
    assert revision.changed == {"epoch": [0, 1]}


@pytest.mark.django_db(transaction=True)
def test_purging_one_key_leaves_the_others(
    operator: Client, admin_user: User, caplog: pytest.LogCaptureFixture
) -> None:
    for number in ("1", "2"):
        store.get_or_compute(BOOKS, ("a", number), lambda: "old")
    key = {"part_shelf": "a", "part_number": "1", "is_confirmed": "on"}
    unnamed = operator.post(PURGE_KEY, {**key, "part_number": ""})
    assert "number is a part of every key" in unnamed.content.decode()
    unconfirmed = operator.post(PURGE_KEY, {**key, "is_confirmed": ""})
    assert "Tick the box" in unconfirmed.content.decode()
    assert store.get_or_compute(BOOKS, ("a", "1"), lambda: "new") == "old"
    with caplog.at_level(logging.INFO, logger="apps.caching.services"):
        told = operator.post(PURGE_KEY, key, follow=True).content.decode()
    assert "Valkey held this key" in told
    [record] = caplog.records
    assert record.__dict__["author_id"] == str(admin_user.pk)
    assert store.get_or_compute(BOOKS, ("a", "1"), lambda: "new") == "new"
    assert store.get_or_compute(BOOKS, ("a", "2"), lambda: "new") == "old"
    assert InvalidationOutbox.objects.get(keyspace=BOOKS.name).key == ["a", "1"]


@pytest.mark.django_db(transaction=True)
def test_with_valkey_away_the_pages_say_so(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "is_open", True)
    for url in (LIST, PAGE):
        response = operator.get(url)
        assert response.status_code == 200
        assert "no answer" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_keyspace_kept_for_another_can_only_be_looked_at(operator: Client, owner: User) -> None:
    Right.objects.create(pattern=f"caching.cachepolicy:{BOOKS.name}", person=owner)
    page = operator.get(PAGE).content.decode()
    assert "may be changed only by" in page
    assert "Purge all entries" not in page
    assert operator.post(PAGE, posted(ttl_seconds="30")).status_code == 403
    for url in (PURGE, PURGE_KEY):
        assert operator.post(url, {"is_confirmed": "on"}).status_code == 403
    assert not CachePolicy.objects.exists()


@pytest.mark.django_db
def test_an_unknown_keyspace_is_not_found(operator: Client) -> None:
    assert operator.get(reverse("admin:caching_keyspace", args=["none:of:1"])).status_code == 404
