"""Scopes through the caches: what a person may read, and how quickly a change of it is everywhere."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts import services
from apps.accounts.access import cached_audience_ids, cached_scope_of, scope_of
from apps.accounts.models import Audience, AudienceMember, Membership, User
from apps.caching import relay
from apps.caching.models import InvalidationOutbox
from tests.factories.accounts import DepartmentFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(owner: User, colleague: User, outsider: User) -> list[User]:
    services.everyone()
    for person in (owner, colleague, outsider):
        services.audience_of_user(person)
        for membership in person.memberships.all():
            services.audience_of_department(membership.department)
    return [owner, colleague, outsider]


def _assert_right(people: list[User]) -> None:
    for person in people:
        assert cached_scope_of(person) == scope_of(person)


def test_a_warm_scope_needs_no_query(people: list[User]) -> None:
    _assert_right(people)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert [cached_scope_of(person) for person in people]
    assert queries.captured_queries == []


def test_a_scope_is_its_owner_s_alone(people: list[User]) -> None:
    owner, colleague, outsider = (set(cached_audience_ids(person)) for person in people)
    everyone = services.everyone().pk
    assert owner & outsider == {everyone}
    assert owner & colleague == {
        everyone,
        people[0].memberships.get().department.audiences.get().pk,
    }


def test_what_services_and_single_saves_change_is_seen_at_once(people: list[User]) -> None:
    owner, colleague, outsider = people
    _assert_right(people)
    named = services.make_custom_audience([owner, outsider])
    _assert_right(people)
    services.set_custom_members(named, [owner])
    _assert_right(people)
    services.bump_generation(services.everyone(), named)
    _assert_right(people)
    colleague.memberships.get().delete()
    _assert_right(people)
    Membership.objects.create(user=outsider, department=owner.memberships.get().department)
    _assert_right(people)
    services.audience_of_department(DepartmentFactory())
    named.delete()
    _assert_right(people)


def test_a_deactivated_person_reads_nothing(people: list[User]) -> None:
    owner = people[0]
    assert cached_audience_ids(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    relay.repeat_all()
    # By somebody who still holds the row as it was.
    assert cached_audience_ids(owner) == ()


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM accounts_membership",
        "UPDATE accounts_audience SET generation = generation + 7",
        "DELETE FROM accounts_audiencemember",
        (
            "INSERT INTO accounts_audiencemember (audience_id, user_id)"
            " SELECT a.id, u.id FROM accounts_audience a, accounts_user u WHERE a.kind = 'CUSTOM'"
            " ON CONFLICT DO NOTHING"
        ),
        "UPDATE accounts_membership SET department_id = (SELECT max(department_id::text)::uuid FROM accounts_membership)",
        "DELETE FROM accounts_audience WHERE kind = 'DEPARTMENT'",
    ],
)
def test_raw_sql_is_seen_once_the_relay_was_there(people: list[User], sql: str) -> None:
    services.make_custom_audience(people[:1])
    _assert_right(people)
    with connection.cursor() as cursor:
        cursor.execute(sql)
    assert InvalidationOutbox.objects.exists()
    relay.repeat_all()
    assert not InvalidationOutbox.objects.exists()
    _assert_right(people)


def test_a_rolled_back_change_leaves_no_trace(people: list[User]) -> None:
    relay.repeat_all()
    from django.db import transaction

    with transaction.atomic():
        AudienceMember.objects.all().delete()
        Audience.objects.update(generation=99)
        transaction.set_rollback(True)
    assert not InvalidationOutbox.objects.exists()
    _assert_right(people)
