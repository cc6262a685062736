"""Makes people, departments and memberships."""

from typing import Any

import factory

from apps.accounts.models import Department, Membership, User

PASSWORD = "correct horse battery staple"


class DepartmentFactory(factory.django.DjangoModelFactory[Department]):
    """A department."""

    class Meta:
        model = Department

    code = factory.Sequence(lambda n: f"department-{n}")
    name = factory.Sequence(lambda n: f"Department {n}")


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A person with PASSWORD, member of `department`: a new one by default, none with None."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person-{n}@example.org")
    full_name = factory.Sequence(lambda n: f"Person {n}")
    password = PASSWORD
    department = factory.SubFactory(DepartmentFactory)
    role = Membership.Role.MEMBER

    @classmethod
    def _create(cls, model_class: type[User], *args: Any, **fields: Any) -> User:
        department, role = fields.pop("department"), fields.pop("role")
        user = model_class.objects.create_user(**fields)
        if department is not None:
            Membership.objects.create(user=user, department=department, role=role)
        return user


class MembershipFactory(factory.django.DjangoModelFactory[Membership]):
    """One more membership of a person."""

    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory, department=None)
    department = factory.SubFactory(DepartmentFactory)
