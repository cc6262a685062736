"""Tags: who may set which on what a department pays for."""

import pytest

from apps.accounts.models import Department, Membership, User
from apps.billing import tags
from apps.billing.models import CostTag
from tests.factories.accounts import DepartmentFactory, MembershipFactory

pytestmark = pytest.mark.django_db

HEADS = CostTag.SetBy.HEADS


@pytest.fixture
def other(owner: User) -> Department:
    """A department the owner heads, beside the one they only belong to."""
    department: Department = DepartmentFactory(name="Other")
    MembershipFactory(user=owner, department=department, role=Membership.Role.HEAD)
    return department


@pytest.fixture(autouse=True)
def _tags(department: Department, other: Department) -> None:
    for code, of, set_by in (
        ("launch", None, CostTag.SetBy.EVERYONE),
        ("audit", None, HEADS),
        ("desk", department, CostTag.SetBy.EVERYONE),
        ("board", department, HEADS),
        ("lab", other, HEADS),
        ("desk", other, HEADS),
    ):
        CostTag.objects.create(code=code, department=of, set_by=set_by)


def codes(user: User, department: Department) -> list[str]:
    return [tag.code for tag in tags.allowed(user=user, department=department)]


def test_a_member_sets_what_everyone_may_and_a_head_all(
    owner: User, department: Department, other: Department
) -> None:
    assert codes(owner, department) == ["desk", "launch"]
    assert codes(owner, other) == ["audit", "desk", "lab", "launch"]


def test_nobody_else_sets_any(
    owner: User, outsider: User, admin_user: User, department: Department, other: Department
) -> None:
    assert codes(outsider, department) == []
    assert codes(admin_user, other) == []
    owner.is_active = False
    assert codes(owner, department) == []


def test_a_code_of_everybody_s_and_of_the_department_s_is_one(
    owner: User, department: Department
) -> None:
    CostTag.objects.create(code="desk")
    assert codes(owner, department) == ["desk", "launch"]
    assert tags.allowed(user=owner, department=department)[0].department == department


def test_codes_are_checked_together(owner: User, outsider: User, department: Department) -> None:
    def checked(*wanted: str, by: User = owner) -> tuple[str, ...]:
        return tags.check(codes=wanted, user=by, department=department)

    assert checked("launch", "desk", "launch") == ("desk", "launch")
    assert checked() == checked(by=outsider) == ()
    for wanted in (("desk", "board"), ("lab",), ("unheard-of",)):
        with pytest.raises(tags.TagNotAllowedError, match=wanted[-1]):
            checked(*wanted)
    with pytest.raises(tags.TagNotAllowedError):
        checked("desk", by=outsider)
