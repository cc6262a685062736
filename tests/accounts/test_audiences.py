"""Who is part of which audience."""

import pytest

from apps.accounts import services
from apps.accounts.models import Audience, User
from tests.factories.accounts import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def readable(user: User) -> set[int]:
    return set(Audience.objects.readable_by(user).values_list("pk", flat=True))


def test_a_person_reads_what_is_for_everyone_themselves_and_their_departments(owner: User) -> None:
    second = MembershipFactory(user=owner).department
    first = owner.memberships.exclude(department=second).get().department
    expected = {
        services.everyone().pk,
        services.audience_of_user(owner).pk,
        services.audience_of_department(first).pk,
        services.audience_of_department(second).pk,
    }
    services.audience_of_user(UserFactory())
    services.audience_of_department(UserFactory().memberships.get().department)
    assert readable(owner) == expected


def test_a_custom_audience_holds_exactly_the_named_people(
    owner: User, colleague: User, outsider: User
) -> None:
    audience = services.make_custom_audience([owner, colleague])
    assert audience.pk in readable(owner)
    assert audience.pk in readable(colleague)
    assert audience.pk not in readable(outsider)
    services.set_custom_members(audience, [owner, outsider])
    assert audience.pk not in readable(colleague)
    assert audience.pk in readable(outsider)
    audience.refresh_from_db()
    assert audience.generation == 2


def test_a_deactivated_person_is_part_of_no_audience(owner: User) -> None:
    services.everyone()
    owner.is_active = False
    assert readable(owner) == set()


def test_leaving_a_department_ends_the_reading_of_its_things(owner: User) -> None:
    department = owner.memberships.get().department
    audience = services.audience_of_department(department)
    assert audience.pk in readable(owner)
    owner.memberships.all().delete()
    assert audience.pk not in readable(owner)


def test_the_paying_department_is_the_default_else_the_first_by_name(owner: User) -> None:
    first = owner.memberships.get().department
    other = MembershipFactory(user=owner, department__name="AAA").department
    assert services.paying_department(owner) == other
    owner.default_department = first
    assert services.paying_department(owner) == first
    owner.memberships.filter(department=first).delete()
    assert services.paying_department(owner) == other
    owner.memberships.all().delete()
    with pytest.raises(services.NoDepartmentError):
        services.paying_department(owner)
