"""The commands say exactly what they did, or would do, and name the choices when they can't."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.caching import contents, keyspaces, policies, remote, store
from apps.caching.flusher import Buffer, Flusher
from apps.caching.keyspaces import Keyspace, Sharing
from apps.caching.models import CachePolicy
from apps.caching.outcomes import Level
from apps.tuning.models import Revision

pytestmark = pytest.mark.django_db(transaction=True)

BOOKS: Keyspace[str] = Keyspace(
    name="caching:books:1",
    key_fields=("shelf", "number"),
    help_text="Books of the tests.",
    fresh_by="Never.",
    shared_by=Sharing.EVERYONE,
    ttl_seconds=600,
)


@pytest.fixture(autouse=True)
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyspace[str]]:
    """A keyspace that is declared for one test."""
    monkeypatch.setitem(keyspaces._keyspaces, BOOKS.name, BOOKS)
    remote.client().flushdb()
    policies.forget()
    contents.forget()
    yield BOOKS
    policies.forget()
    contents.forget()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def read(number: str = "1", value: str = "old") -> str:
    return store.get_or_compute(BOOKS, ("a", number), lambda: value)


def test_stats_are_exact_for_machines_and_plain_for_people() -> None:
    now = timezone.now().timestamp()
    buffer = Buffer(100)
    buffer.accesses.extend([(BOOKS.name, "0" * 32, Level.L2, now, 200.0, 9000.0, 2_000_000)] * 3)
    buffer.accesses.append((BOOKS.name, "0" * 32, Level.MISS, now, 9000.0, 9000.0, 0))
    Flusher(buffer, interval_seconds=1).flush()
    read()
    found = json.loads(run("cache_stats", "--json"))
    assert set(found["keyspaces"]) == {one.name for one in keyspaces.everything()}
    mine = found["keyspaces"][BOOKS.name]
    assert mine["windows"]["day"] == {
        "hit_ratio": 0.75,
        "L1": 0,
        "L2": 3,
        "MISS": 1,
        "BYPASS": 0,
        "STALE": 0,
        "saved_us": 26_400,
        "saved_nanos": 6_000_000,
    }
    assert mine["valkey"]["entries"] == 1
    one = json.loads(run("cache_stats", BOOKS.name, "--json"))
    assert list(one["keyspaces"]) == [BOOKS.name]
    assert one["keyspaces"][BOOKS.name]["latencies"]["L2"]["p50_us"] == pytest.approx(200, rel=0.05)
    table = run("cache_stats")
    [line] = [line for line in table.splitlines() if line.startswith(BOOKS.name)]
    assert line.split()[1:4] == ["75.0", "%", "75.0"]
    assert "0.0060 $" in line
    assert "MISS" in run("cache_stats", BOOKS.name)


@pytest.mark.parametrize("command", ["cache_stats", "cache_purge", "cache_set"])
def test_an_unknown_keyspace_is_told_with_those_there_are(command: str) -> None:
    rest = {"cache_purge": ["--all"], "cache_set": ["ttl_seconds=5"]}.get(command, [])
    with pytest.raises(CommandError, match=rf"no:such:1 is not a keyspace; .*{BOOKS.name}"):
        run(command, "no:such:1", *rest)


def test_purging_one_key() -> None:
    assert [read("1"), read("2")] == ["old", "old"]
    told = run("cache_purge", BOOKS.name, "--key", "a", "1", "--dry-run")
    assert told == f"would purge {BOOKS.name} a 1 (held by Valkey)\n"
    assert read("1", "new") == "old"
    assert run("cache_purge", BOOKS.name, "--key", "a", "1").startswith("purged")
    assert [read("1", "new"), read("2", "new")] == ["new", "old"]
    with pytest.raises(CommandError, match="takes shelf, number"):
        run("cache_purge", BOOKS.name, "--key", "a")


def test_purging_all() -> None:
    assert [read("1"), read("2")] == ["old", "old"]
    assert "would purge" in run("cache_purge", BOOKS.name, "--all", "--dry-run")
    assert read("1", "new") == "old"
    told = run("cache_purge", BOOKS.name, "--all", "--reason", "a wrong import")
    assert told == f"purged {BOOKS.name}: 2 entries in Valkey\n"
    assert [read("1", "new"), read("2", "new")] == ["new", "new"]
    assert Revision.objects.latest("pk").reason == "a wrong import"
    with pytest.raises(CommandError, match="one of the arguments --key --all"):
        run("cache_purge", BOOKS.name)


def test_setting_a_policy() -> None:
    told = run("cache_set", BOOKS.name, "ttl_seconds=30", "is_enabled=off", "--dry-run")
    assert "would set lifetime: – → 30" in told
    assert not CachePolicy.objects.exists()
    run("cache_set", BOOKS.name, "ttl_seconds=30", "is_enabled=off", "--reason", "a trial")
    policy = policies.of(BOOKS)
    assert (policy.ttl_seconds, policy.is_enabled) == (30, False)
    revision = Revision.objects.latest("pk")
    assert (revision.author, revision.reason) == (None, "a trial")
    assert (
        run("cache_set", BOOKS.name, "ttl_seconds=30") == "Nothing differs; nothing was written.\n"
    )
    run("cache_set", BOOKS.name, "ttl_seconds=default", "is_enabled=default")
    policy = policies.of(BOOKS)
    assert (policy.ttl_seconds, policy.is_enabled) == (600, True)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("ttl=5", "there are: is_enabled=…, ttl_seconds=…"),
        ("ttl_seconds", "there are: is_enabled=…"),
        ("ttl_seconds=soon", "a number expected, not soon"),
        ("max_value_bytes=1.5", "a number expected, not 1.5"),
        ("is_enabled=maybe", "on or off, not maybe"),
        ("ttl_seconds=0", "greater than or equal to 1"),
        ("l1_ttl_seconds=5", "declares it without"),
    ],
)
def test_what_can_t_be_set_is_refused_with_the_choices(setting: str, said: str) -> None:
    with pytest.raises(CommandError, match=said.replace("(", r"\(")):
        run("cache_set", BOOKS.name, setting)
    assert not CachePolicy.objects.exists()
