"""Rows in the journal: changed, made, deleted, rolled back; what is never in it; and who may turn what."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.billing.models import Price
from apps.caching.models import CachePolicy
from apps.llm.models import LLMModel, Provider, Route
from apps.tuning import history, live, rights, rows, services
from apps.tuning.models import Revision, Right
from apps.tuning.registry import ParameterError, TuningError
from apps.tuning.rights import NotAllowedError
from apps.tuning.rows import RowError
from tests.factories.billing import PriceFactory
from tests.factories.llm import ProviderFactory, RouteFactory

pytestmark = pytest.mark.django_db

SECRET = "sk-secret-of-the-tests"
NAME = "documents.retrieval_feedback_weight"
OTHER = "chat.sentence_count"


def change(row: Any, author: User | None = None, **values: Any) -> Revision | None:
    return services.change_row(instance=row, values=values, author_id=author and author.pk)


def everything_written() -> str:
    found = Revision.objects.values_list("values", "changed", "reason", "label")
    return json.dumps(list(found))


def test_a_row_s_change_is_kept_with_all_its_values_and_what_it_was_before(
    admin_user: User,
) -> None:
    provider = ProviderFactory(code="acme", name="Old")
    revision = services.change_row(
        instance=provider, values={"name": "New"}, author_id=admin_user.pk, reason="renamed"
    )
    assert revision
    assert (revision.subject, revision.label) == ("llm.provider:acme", "New")
    assert revision.changed == {"name": ["Old", "New"]}
    assert revision.values["base_url"] == provider.base_url
    assert (revision.author, revision.reason) == (admin_user, "renamed")
    found = Revision.objects.get(action=Revision.Action.FOUND)
    assert found.values["name"] == "Old"
    assert list(Revision.objects.active("llm.provider:acme")) == [revision]
    provider.refresh_from_db()
    assert provider.name == "New"


def test_without_a_difference_nothing_is_written() -> None:
    provider = ProviderFactory()
    assert change(provider, name=provider.name, secret=SECRET) is None
    assert not Revision.objects.exists()


def test_other_columns_are_left_as_the_database_has_them() -> None:
    provider = ProviderFactory(name="Old", read_timeout_seconds=1.0)
    Provider.objects.update(read_timeout_seconds=7.0)
    change(provider, name="New")
    provider.refresh_from_db()
    assert (provider.name, provider.read_timeout_seconds) == ("New", 7.0)


def test_each_subject_has_one_active_revision_and_its_own_history() -> None:
    route = RouteFactory()
    services.change(values={NAME: 0.5}, author_id=None)
    change(route, is_enabled=False)
    change(route, is_enabled=True)
    assert Revision.objects.filter(is_active=True).count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Revision.objects.filter(subject=rows.subject_of(route)).update(is_active=True)


def test_the_generation_moves_with_every_subject(django_capture_on_commit_callbacks) -> None:
    route = RouteFactory()
    seen = [live.generation()]
    for values in ({"is_enabled": False}, {"priority": 77}):
        with django_capture_on_commit_callbacks(execute=True):
            change(route, **values)
        seen.append(live.generation())
    with django_capture_on_commit_callbacks(execute=True):
        services.change(values={NAME: 0.5}, author_id=None)
    seen.append(live.generation())
    assert seen == sorted(set(seen))


def test_a_secret_is_never_in_the_journal() -> None:
    provider = Provider(code="new", name="New", base_url="http://127.0.0.1:9/v1", secret=SECRET)
    created = services.create_row(instance=provider, author_id=None)
    revision = change(provider, secret="sk-another-secret")
    services.delete_row(instance=provider, author_id=None)
    assert created.changed["secret"] is None
    assert revision
    assert revision.changed == {"secret": None}
    assert "sk-" not in everything_written()
    assert not any("secret" in one.values for one in Revision.objects.all())


def test_a_stored_key_goes_to_no_address_it_was_not_entered_for() -> None:
    provider = ProviderFactory(base_url="https://theirs.example/v1", secret="")
    first = change(provider, name="New")
    assert first
    change(provider, base_url="https://ours.example/v1", secret=SECRET)
    with pytest.raises(RowError, match="enter the key again"):
        history.rollback(revision=first, author_id=None)
    with pytest.raises(RowError, match="enter the key again"):
        change(provider, base_url="https://theirs.example/v1")
    provider.refresh_from_db()
    assert provider.base_url == "https://ours.example/v1"


def test_a_refused_value_changes_nothing() -> None:
    provider = ProviderFactory(name="Old")
    for values in (
        {"name": "New", "read_timeout_seconds": -1},
        {"name": "New", "no_such": 1},
        {"name": "New", "read_timeout_seconds": "soon"},
        {"name": "New", "code": "other"},
    ):
        with pytest.raises(RowError):
            change(provider, **values)
    provider.refresh_from_db()
    assert (provider.name, provider.read_timeout_seconds) == ("Old", 30.0)
    assert not Revision.objects.exists()


def test_a_deletion_takes_a_revision_for_each_row_that_goes_along() -> None:
    route = RouteFactory(llm_model__provider__code="acme")
    provider = route.llm_model.provider
    made = services.delete_row(instance=provider, author_id=None, reason="gone")
    assert {one.subject.partition(":")[0] for one in made} == {
        "llm.provider",
        "llm.llmmodel",
        "llm.route",
    }
    assert all(one.action == Revision.Action.DELETED and one.is_active for one in made)
    assert not Provider.objects.exists()


def test_deleted_rows_come_back_with_their_keys_parents_first() -> None:
    route = RouteFactory(llm_model__provider__code="acme")
    llm_model = route.llm_model
    provider_id = llm_model.provider.pk
    by_table = {
        one.subject.partition(":")[0]: one
        for one in services.delete_row(instance=llm_model.provider, author_id=None)
    }
    with pytest.raises(RowError, match="provider"):
        history.rollback(revision=by_table["llm.llmmodel"], author_id=None)
    assert not LLMModel.objects.exists()
    for name in ("llm.provider", "llm.llmmodel", "llm.route"):
        restored = history.rollback(revision=by_table[name], author_id=None)
        assert restored
        assert restored.action == Revision.Action.RESTORED
    again = Route.objects.get()
    assert (again.pk, again.llm_model.provider.pk) == (route.pk, provider_id)
    assert again.llm_model.provider.secret == ""


def test_a_row_goes_back_to_any_revision_and_forth_again() -> None:
    provider = ProviderFactory(name="One")
    second = change(provider, name="Two")
    change(provider, name="Three", read_timeout_seconds=5.0)
    first = Revision.objects.get(action=Revision.Action.FOUND)
    for revision, name, seconds in ((first, "One", 30.0), (second, "Two", 30.0)):
        assert revision
        would_be = history.preview(revision=revision, author_id=None)
        assert would_be
        assert would_be.changed["name"][1] == name
        provider.refresh_from_db()
        assert provider.name != name
        assert history.rollback(revision=revision, author_id=None)
        provider.refresh_from_db()
        assert (provider.name, provider.read_timeout_seconds) == (name, seconds)
        assert history.rollback(revision=revision, author_id=None) is None


def test_what_nobody_edits_survives_a_rollback() -> None:
    """A policy's epoch moves with each purge; put back, purged values would be served again."""
    policy = CachePolicy.objects.create(keyspace="chat:answer:1", ttl_seconds=60)
    change(policy, ttl_seconds=90)
    change(policy, epoch=5)
    first = Revision.objects.get(action=Revision.Action.FOUND)
    assert first.subject == "caching.cachepolicy:chat:answer:1"
    assert history.rollback(revision=first, author_id=None)
    policy.refresh_from_db()
    assert (policy.ttl_seconds, policy.epoch) == (60, 5)


def test_a_price_is_never_put_back_and_keeps_its_exact_time() -> None:
    price = PriceFactory.build(starts_at=timezone.now() + timedelta(days=1))
    services.create_row(instance=price, author_id=None)
    services.delete_row(instance=Price.objects.get(), author_id=None, reason="typo")
    for revision in Revision.objects.all():
        with pytest.raises(RowError, match="Add a price"):
            history.rollback(revision=revision, author_id=None)
        assert revision.values["starts_at"] == price.starts_at.isoformat()
    assert not Price.objects.exists()


def test_parameters_go_back_together() -> None:
    first = services.change(values={NAME: 0.5}, author_id=None)
    services.change(values={NAME: 0.75, OTHER: 3}, author_id=None)
    assert first
    restored = history.rollback(revision=first, author_id=None, reason="too eager")
    assert restored
    assert restored.values == {NAME: 0.5}
    assert restored.changed == {NAME: [0.75, 0.5], OTHER: [3, 1]}
    assert history.rollback(revision=first, author_id=None) is None


@pytest.mark.parametrize(
    ("values", "told"), [({NAME: 9.0}, "above the most"), ({"chat.removed": 1}, "chat.removed")]
)
def test_a_revision_that_today_s_bounds_refuse_is_not_rolled_back_to(
    values: dict[str, Any], told: str
) -> None:
    old = Revision.objects.create(values={OTHER: 3, **values}, is_active=False)
    with pytest.raises(TuningError, match=told):
        history.rollback(revision=old, author_id=None)
    assert not Revision.objects.filter(is_active=True).exists()


def test_a_row_s_revision_that_today_s_bounds_refuse_is_not_rolled_back_to() -> None:
    provider = ProviderFactory(name="Old")
    for values in ({"name": "X", "read_timeout_seconds": -1}, {"name": "X", "removed": 1}):
        old = Revision.objects.create(
            subject=rows.subject_of(provider), values=values, is_active=False
        )
        with pytest.raises(RowError):
            history.rollback(revision=old, author_id=None)
    provider.refresh_from_db()
    assert provider.name == "Old"


def test_an_unknown_table_is_told() -> None:
    old = Revision.objects.create(subject="gone.table:1", values={"name": "X"})
    with pytest.raises(RowError, match="names no row"):
        history.rollback(revision=old, author_id=None)


def test_without_a_right_every_operator_may_and_nobody_else(admin_user: User, owner: User) -> None:
    services.change(values={NAME: 0.5}, author_id=admin_user.pk)
    with pytest.raises(NotAllowedError, match="Only operators"):
        services.change(values={NAME: 0.6}, author_id=owner.pk)
    admin_user.is_active = False
    admin_user.save(update_fields=["is_active"])
    with pytest.raises(NotAllowedError):
        services.change(values={NAME: 0.6}, author_id=admin_user.pk)


def test_with_a_right_only_its_people_may(admin_user: User, colleague: User) -> None:
    colleague.is_operator = True
    colleague.save(update_fields=["is_operator"])
    route = RouteFactory()
    change(route, is_enabled=False)
    was = Revision.objects.get(action=Revision.Action.FOUND)
    for pattern in ("documents.*", "llm.route:*"):
        Right.objects.create(pattern=pattern, person=colleague)
    refused = [
        lambda: services.change(values={NAME: 0.5, OTHER: 2}, author_id=admin_user.pk),
        lambda: change(route, admin_user, priority=77),
        lambda: history.rollback(revision=was, author_id=admin_user.pk),
        lambda: services.delete_row(instance=route.llm_model, author_id=admin_user.pk),
        lambda: services.create_row(
            instance=Route(use="ANSWER", priority=9, llm_model=route.llm_model),
            author_id=admin_user.pk,
        ),
    ]
    for attempt in refused:
        with pytest.raises(NotAllowedError, match="only by Colleague"), transaction.atomic():
            attempt()
    assert services.change(values={OTHER: 2}, author_id=admin_user.pk)
    assert services.change(values={NAME: 0.5}, author_id=colleague.pk)
    assert services.change(values={NAME: 0.7}, author_id=None)
    assert change(route, colleague, priority=77)
    assert Route.objects.get().priority == 77


def test_the_people_of_any_entry_that_names_it_may(admin_user: User, colleague: User) -> None:
    Right.objects.create(pattern="documents.*", person=colleague)
    Right.objects.create(pattern=NAME, person=admin_user)
    assert rights.standing_of(admin_user.pk).refusal(NAME) == ""
    told = rights.standing_of(admin_user.pk).refusal("documents.upload_max_bytes")
    assert told == "documents.upload_max_bytes may be changed only by Colleague."


def test_a_value_of_another_type_is_told(admin_user: User) -> None:
    with pytest.raises(ParameterError, match="a number expected"):
        services.change(values={NAME: "much"}, author_id=admin_user.pk)
    with pytest.raises(ParameterError):
        services.change(values={NAME: Decimal(1)}, author_id=admin_user.pk)  # type: ignore[dict-item]
