"""Declaring, reading and changing parameters, and the admin page that does it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.tuning import live, registry, services
from apps.tuning.forms import field_name
from apps.tuning.models import Revision, Right, ScheduledChange
from apps.tuning.registry import Parameter, ParameterError

NAME = "documents.retrieval_feedback_weight"
OTHER = "chat.sentence_count"


def test_a_value_keeps_its_type_and_bounds() -> None:
    parameter = Parameter(name="x.y", default=3, minimum=1, maximum=5, help_text="")
    assert parameter.clean(5) == 5
    for wrong in (0, 6, "3", 3.0, True, None):
        with pytest.raises(ParameterError):
            parameter.clean(wrong)
    ratio = Parameter(name="x.z", default=0.5, minimum=0, maximum=1, help_text="")
    assert ratio.clean(1) == 1.0
    for wrong in (float("nan"), float("inf"), -0.1):
        with pytest.raises(ParameterError):
            ratio.clean(wrong)


def test_a_value_is_read_as_people_write_it() -> None:
    number = Parameter(name="x.y", default=3, minimum=1, maximum=5, help_text="")
    flag = Parameter(name="x.f", default=False, help_text="")
    word = Parameter(name="x.w", default="a", choices=("a", "b"), help_text="")
    assert (number.parse("4"), flag.parse("on"), word.parse("b")) == (4, True, "b")
    assert number.parse("default") is None
    for parameter, text in ((number, "six"), (number, "6"), (flag, "maybe"), (word, "c")):
        with pytest.raises(ParameterError, match=parameter.name):
            parameter.parse(text)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ParameterError):
        live.value("no.such")


@pytest.mark.parametrize("parameter", registry.everything(), ids=lambda one: one.name)
def test_every_parameter_tells_what_it_is(parameter: Parameter) -> None:
    assert parameter.unit or isinstance(parameter.default, bool | str)
    assert len(parameter.help_text) > 20
    assert parameter.moves
    if isinstance(parameter.default, str):
        assert parameter.choices
    elif not isinstance(parameter.default, bool):
        assert parameter.minimum is not None
        assert parameter.maximum is not None
        assert parameter.minimum < parameter.maximum


@pytest.mark.django_db
def test_a_change_is_live_and_kept_in_the_journal(
    admin_user: User, django_capture_on_commit_callbacks
) -> None:
    assert live.number(NAME) == registry.get(NAME).default
    with django_capture_on_commit_callbacks(execute=True):
        revision = services.change(values={NAME: 0.25}, author_id=admin_user.pk, reason="look")
    assert revision
    assert live.number(NAME) == 0.25
    assert live.generation() == revision.pk
    assert revision.changed == {NAME: [1.0, 0.25]}
    assert services.change(values={NAME: 0.25}, author_id=None) is None
    with django_capture_on_commit_callbacks(execute=True):
        services.change(values={NAME: None}, author_id=None)
    assert live.number(NAME) == 1.0
    assert live.generation() > revision.pk
    assert Revision.objects.count() == 2
    assert Revision.objects.get(is_active=True).values == {}


@pytest.mark.django_db
def test_values_and_generation_are_one_query_and_none_while_fresh(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    services.change(values={NAME: 0.25}, author_id=None)
    live.forget()
    with django_assert_num_queries(1):
        assert live.generation() > 0
        assert live.number(NAME) == 0.25
        assert live.is_fresh()
    with pytest.raises(TypeError):
        live.snapshot()[NAME] = 1  # type: ignore[index]  # frozen is what is shown


@pytest.mark.django_db
def test_a_change_told_while_the_values_are_read_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services.change(values={NAME: 0.25}, author_id=None)
    live.forget()
    told = iter([live.forget])

    def slow(values: dict[str, object]) -> dict[str, object]:
        next(told, lambda: None)()
        return values

    monkeypatch.setattr(live, "_acceptable", slow)
    monkeypatch.setattr(live, "_stored", {"no": "value"})
    live.snapshot()
    assert not live.is_fresh()
    live.snapshot()
    assert live.is_fresh()


@pytest.mark.django_db
def test_publishers_are_called_after_a_commit_and_none_without_a_change(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    monkeypatch.setattr(live, "_publishers", [])
    told: list[int] = []

    def publisher() -> None:
        told.append(live.generation())

    def broken() -> None:
        raise ConnectionError

    for one in (broken, publisher, publisher):
        live.register_publisher(one)
    with django_capture_on_commit_callbacks(execute=True):
        revision = services.change(values={NAME: 0.25}, author_id=None)
        assert told == []
    assert revision
    assert told == [revision.pk]
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        services.change(values={NAME: 0.25}, author_id=None)
    assert not callbacks


@pytest.mark.django_db
def test_a_wrong_value_changes_nothing(admin_user: User) -> None:
    with pytest.raises(ParameterError):
        services.change(values={NAME: 0.5, "chat.unknown": 1}, author_id=admin_user.pk)
    assert not Revision.objects.exists()


@pytest.mark.django_db
def test_what_a_release_no_longer_allows_is_the_default_and_in_nobody_s_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Revision.objects.create(values={NAME: 7.0, "chat.removed": 1, OTHER: 2})
    live.forget()
    assert live.number(NAME) == registry.get(NAME).default
    assert live.integer(OTHER) == 2
    assert "a stored value is refused" in caplog.text
    revision = services.change(values={OTHER: 3, NAME: None}, author_id=None)
    assert revision
    assert revision.values == {OTHER: 3}


def posted(**values: object) -> dict[str, object]:
    """The page as a browser sends it: each field with what it showed, beside what was entered."""
    data: dict[str, object] = {}
    for parameter in registry.everything():
        name = field_name(parameter)
        data[name] = data[f"initial-{name}"] = live.value(parameter.name)
    return data | values


@pytest.mark.django_db
def test_the_page_changes_a_parameter_and_names_a_value_out_of_bounds(
    client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)
    url = reverse("admin:tuning_parameters")
    field = NAME.replace(".", "__")
    assert NAME in client.get(url).content.decode()
    refused = client.post(url, posted(**{field: 7}))
    assert refused.status_code == 200
    assert "Nothing was saved" in refused.content.decode()
    assert not Revision.objects.exists()
    entered = posted(**{field: 0.5, "journal_reason": "why"})
    assert client.post(url, entered).status_code == 302
    assert Revision.objects.get().reason == "why"
    live.forget()
    page = client.get(url).content.decode()
    assert "is-changed" in page
    assert "by Operator: why" in " ".join(page.split())


@pytest.mark.django_db
def test_a_page_opened_long_ago_puts_nothing_back(client: Client, admin_user: User) -> None:
    client.force_login(admin_user)
    old_page = posted(**{field_name(registry.get(OTHER)): 2})
    services.change(values={NAME: 0.25}, author_id=None)
    client.post(reverse("admin:tuning_parameters"), old_page)
    assert Revision.objects.get(is_active=True).values == {NAME: 0.25, OTHER: 2}


@pytest.mark.django_db
def test_the_page_schedules_for_a_time_to_come(client: Client, admin_user: User) -> None:
    client.force_login(admin_user)
    url = reverse("admin:tuning_parameters")
    field = NAME.replace(".", "__")
    late, soon = (timezone.now() + timedelta(hours=hours) for hours in (-1, 1))
    over = client.post(url, posted(**{field: 0.5, "journal_due_at": f"{late:%Y-%m-%dT%H:%M}"}))
    assert "Choose a time to come" in over.content.decode()
    client.post(url, posted(**{field: 0.5, "journal_due_at": f"{soon:%Y-%m-%dT%H:%M}"}))
    assert not Revision.objects.exists()
    scheduled = ScheduledChange.objects.get()
    assert scheduled.values == {NAME: 0.5}
    assert "Still to come" in client.get(url).content.decode()


@pytest.mark.django_db
def test_the_page_shows_read_only_what_others_turn(
    client: Client, admin_user: User, colleague: User
) -> None:
    Right.objects.create(pattern="documents.*", person=colleague)
    client.force_login(admin_user)
    url = reverse("admin:tuning_parameters")
    field = NAME.replace(".", "__")
    page = client.get(url).content.decode()
    assert f"{NAME} may be changed only by Colleague." in page
    client.post(url, posted(**{field: 0.5, field_name(registry.get(OTHER)): 2}))
    assert Revision.objects.get().changed == {OTHER: [1, 2]}


@pytest.mark.django_db
def test_the_page_is_for_operators(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.get(reverse("admin:tuning_parameters")).status_code == 302


@pytest.mark.django_db
def test_the_page_takes_the_same_queries_however_much_was_changed(
    client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)
    counts = []
    for number in range(1, 10):
        services.change(values={OTHER: number, "chat.history_tokens": number}, author_id=None)
        live.forget()
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("admin:tuning_parameters"))
        counts.append(len(queries))
    assert counts[1:] == [counts[1]] * 8


@pytest.fixture(autouse=True)
def _fresh_snapshot():
    live.forget()
    yield
    live.forget()
