"""The documentation's table of keyspaces is the code's."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.caching import catalogue, keyspaces
from project.supervisor.data_folder import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "caching.md"


def _shipped() -> list[keyspaces.Keyspace]:
    """Return the keyspaces the apps declare; other tests add some of their own to the registry."""
    return [one for one in keyspaces.everything() if ":test-" not in one.name]


def test_the_document_s_table_is_up_to_date() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = text.partition(catalogue.BEGIN)[2].partition(catalogue.END)[0].strip()
    assert shown == catalogue.table(_shipped()), (
        "run: manage.py cache_keyspaces --write docs/caching.md"
    )


def test_each_keyspace_says_what_it_is_and_how_it_is_kept_fresh() -> None:
    for keyspace in _shipped():
        assert keyspace.help_text.endswith(".")
        assert keyspace.fresh_by.endswith(".")
        assert keyspace.name.count(":") == 2
        assert bool(keyspace.l1_ttl_seconds) == bool(keyspace.l1_share_ratio)


def test_access_and_answers_are_never_served_past_their_time() -> None:
    # What is no secret from anybody, or only shown to operators.
    may_be_old = {"billing:price-book:1", "documents:query-embedding:1"}
    for keyspace in _shipped():
        if keyspace.name not in may_be_old:
            assert keyspace.stale_if_error_seconds == 0, keyspace.name
        if keyspace.name.startswith(("accounts:session:", "chat:answer:", "chat:answer-semantic:")):
            assert keyspace.l1_ttl_seconds == 0, keyspace.name


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    out = StringIO()
    call_command("cache_keyspaces", stdout=out)
    assert "`llm:route:1` (use)" in out.getvalue()
    document = tmp_path / "caching.md"
    document.write_text(f"a\n{catalogue.BEGIN}\nold\n{catalogue.END}\nb\n")
    call_command("cache_keyspaces", "--write", str(document), stdout=out)
    assert (
        document.read_text() == f"a\n{catalogue.BEGIN}\n{catalogue.table()}\n{catalogue.END}\nb\n"
    )


def test_a_document_without_marks_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "other.md"
    document.write_text("nothing")
    with pytest.raises(CommandError, match="needs the lines"):
        call_command("cache_keyspaces", "--write", str(document))
    assert document.read_text() == "nothing"
