"""Verbs on people and audiences: who pays, who reads, and the first operator's one-time link."""

from collections.abc import Collection

from django.core import signing
from django.db import transaction
from django.db.models import F

from apps.accounts.cache import AUDIENCE_GENERATION, AUDIENCE_SET
from apps.accounts.models import Audience, AudienceMember, Department, Membership, User
from apps.caching import store

FIRST_OPERATOR_SALT = "accounts.first-operator"
FIRST_OPERATOR_SECONDS = 24 * 3600


class AccountsError(Exception):
    """Base of what can go wrong with people; its text is fit for the person at the screen."""


class NoDepartmentError(AccountsError):
    """The person is in no department, so nobody could be charged."""


class InvalidLinkError(AccountsError):
    """The first-operator link is forged, too old, or was used."""


def everyone() -> Audience:
    """Return the audience of all who can sign in."""
    return Audience.objects.get_or_create(kind=Audience.Kind.EVERYONE)[0]


def audience_of_department(department: Department) -> Audience:
    """Return the audience of a department's members."""
    return Audience.objects.get_or_create(kind=Audience.Kind.DEPARTMENT, department=department)[0]


def audience_of_user(user: User) -> Audience:
    """Return the audience of one person."""
    return Audience.objects.get_or_create(kind=Audience.Kind.USER, user=user)[0]


def make_custom_audience(people: Collection[User]) -> Audience:
    """Make an audience of named people; whoever shares must name themselves too."""
    with transaction.atomic():
        audience = Audience.objects.create(kind=Audience.Kind.CUSTOM)
        AudienceMember.objects.bulk_create(
            AudienceMember(audience=audience, user=person) for person in set(people)
        )
        _tell_members(people)
    return audience


def _tell_members(people: Collection[User]) -> None:
    for person in people:
        store.invalidate(AUDIENCE_SET, (person.pk,))


def set_custom_members(audience: Audience, people: Collection[User]) -> None:
    """Make `people` the whole of a CUSTOM audience, and move its generation."""
    with transaction.atomic():
        # Each deleted row sends its signal; a bulk insert sends none.
        audience.members.exclude(user__in=people).delete()
        AudienceMember.objects.bulk_create(
            [AudienceMember(audience=audience, user=person) for person in set(people)],
            ignore_conflicts=True,
        )
        _tell_members(people)
        bump_generation(audience)


def bump_generation(*audiences: Audience) -> None:
    """Move the generation of audiences whose readable things changed."""
    keys = [audience.pk for audience in audiences]
    Audience.objects.filter(pk__in=keys).update(generation=F("generation") + 1)
    for key in keys:
        store.invalidate(AUDIENCE_GENERATION, (key,))


def paying_department(user: User) -> Department:
    """Return who pays for what the person starts now: their default, else their first department by name.

    A default the person is no longer a member of does not count.

    Raises:
        NoDepartmentError: the person belongs to no department.
    """
    departments = list(Department.objects.payable_by(user))
    if not departments:
        raise NoDepartmentError
    default = [
        department for department in departments if department.pk == user.default_department_id
    ]
    return (default or departments)[0]


def first_operator_token() -> str:
    """Return the signed part of the link that makes the first operator; it dies with first use or after a day."""
    return signing.dumps({"operators": 0}, salt=FIRST_OPERATOR_SALT)


def is_first_operator_token(token: str) -> bool:
    """Say whether a link still makes the first operator: ours, younger than a day, and no operator yet."""
    try:
        signing.loads(token, salt=FIRST_OPERATOR_SALT, max_age=FIRST_OPERATOR_SECONDS)
    except signing.BadSignature:
        return False
    return not User.objects.filter(is_operator=True).exists()


def make_first_operator(*, token: str, email: str, full_name: str, password: str) -> User:
    """Make the first operator of an empty installation, and a department for them.

    Raises:
        InvalidLinkError: the link is not ours, older than a day, or an operator exists already.
    """
    with transaction.atomic():
        # Two tabs with the same link: the everyone audience is the one row both must lock.
        Audience.objects.select_for_update().get(pk=everyone().pk)
        if not is_first_operator_token(token):
            raise InvalidLinkError
        department, _made = Department.objects.get_or_create(
            code="general", defaults={"name": "General"}
        )
        user = User.objects.create_user(email, password, full_name=full_name, is_operator=True)
        Membership.objects.create(user=user, department=department, role=Membership.Role.HEAD)
    return user
