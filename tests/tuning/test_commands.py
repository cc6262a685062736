"""`tuning_show`, `tuning_set` and `tuning_rollback`."""

import json

import pytest
from django.core.management import CommandError, call_command

from apps.tuning import registry, services
from apps.tuning.models import Revision

pytestmark = pytest.mark.django_db

NAME = "documents.retrieval_feedback_weight"
OTHER = "chat.sentence_count"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command(*arguments)
    return capsys.readouterr().out


def test_show_lists_all_and_marks_what_was_turned(capsys: pytest.CaptureFixture[str]) -> None:
    services.change(values={NAME: 0.5}, author_id=None)
    lines = said(capsys, "tuning_show").splitlines()
    assert len(lines) == len(registry.everything())
    assert [line.split()[1] for line in lines if line.startswith("*")] == [NAME]
    assert all(
        "documents." in line for line in said(capsys, "tuning_show", "documents.*").splitlines()
    )


def test_show_tells_all_about_one(capsys: pytest.CaptureFixture[str]) -> None:
    revision = services.change(values={NAME: 0.5}, author_id=None, reason="try it")
    text = said(capsys, "tuning_show", NAME)
    assert revision
    for part in ("0.5", "default", "0 to 5", f"revision {revision.pk}: try it"):
        assert part in text
    [facts] = json.loads(said(capsys, "tuning_show", NAME, "--json"))
    assert (facts["value"], facts["default"], facts["maximum"]) == (0.5, 1.0, 5.0)
    assert facts["last_change"]["reason"] == "try it"
    assert len(json.loads(said(capsys, "tuning_show", "--json"))) == len(registry.everything())


def test_show_says_what_to_do_about_an_unknown_name() -> None:
    with pytest.raises(CommandError, match="without a name lists all"):
        call_command("tuning_show", "no.such")


def test_set_changes_several_in_one_revision(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "tuning_set", f"{NAME}=0.5", f"{OTHER}=2", "--reason", "try it")
    assert "1 share" in text
    revision = Revision.objects.get()
    assert (revision.values, revision.reason, revision.author) == (
        {NAME: 0.5, OTHER: 2},
        "try it",
        None,
    )
    assert "it is so already" in said(capsys, "tuning_set", f"{OTHER}=2")
    said(capsys, "tuning_set", f"{NAME}=default")
    assert Revision.objects.get(is_active=True).values == {OTHER: 2}


def test_a_dry_run_tells_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Dry run" in said(capsys, "tuning_set", f"{OTHER}=2", "--dry-run")
    assert not Revision.objects.exists()
    revision = services.change(values={OTHER: 2}, author_id=None)
    services.change(values={OTHER: 3}, author_id=None)
    assert revision
    text = said(capsys, "tuning_rollback", str(revision.pk), "--dry-run")
    assert f"{OTHER}: 3 sentences → 2 sentences" in text
    assert Revision.objects.count() == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (OTHER, "is not NAME=VALUE"),
        ("no.such=1", "tuning_show` lists all"),
        (f"{OTHER}=two", "a whole number expected"),
        (f"{OTHER}=11", "above the most allowed, 10"),
        (f"{NAME}=0.1", "given twice"),
    ],
)
def test_set_refuses_all_when_one_is_wrong(setting: str, told: str) -> None:
    with pytest.raises(CommandError, match=told):
        call_command("tuning_set", f"{NAME}=0.5", setting)
    assert not Revision.objects.exists()


def test_rollback_goes_back_and_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    first = services.change(values={OTHER: 2}, author_id=None)
    services.change(values={OTHER: 3}, author_id=None)
    assert first
    said(capsys, "tuning_rollback", str(first.pk), "--reason", "worse")
    newest = Revision.objects.latest("pk")
    assert (newest.values, newest.reason) == ({OTHER: 2}, "worse")
    assert "it is so already" in said(capsys, "tuning_rollback", str(first.pk))
    with pytest.raises(CommandError, match="There is no revision 999999999"):
        call_command("tuning_rollback", "999999999")
    old = Revision.objects.create(values={"chat.removed": 1}, is_active=False)
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("tuning_rollback", str(old.pk))
