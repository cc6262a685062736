"""Caps of single people: who may set them, and what they may say (through the pages: test_views.py)."""

import pytest

from apps.accounts.models import Department, Membership, User
from apps.billing.budgets.caps import Limits, change_cap, may_change, remove_cap, set_cap
from apps.billing.errors import InvalidAmountError, NotAllowedError
from apps.billing.models import Budget
from apps.tuning.models import Revision
from tests.factories.accounts import MembershipFactory
from tests.factories.billing import BudgetFactory

pytestmark = pytest.mark.django_db
MONTH = Budget.Period.MONTH


@pytest.fixture
def head(outsider: User, department: Department) -> User:
    """A person of another department who heads the owner's."""
    MembershipFactory(user=outsider, department=department, role=Membership.Role.HEAD)
    return outsider


def test_a_second_cap_of_the_same_period_is_the_first_with_new_limits(
    head: User, owner: User, department: Department
) -> None:
    caps = [
        set_cap(by=head, department=department, person=owner, period=MONTH, limits=Limits(limit))
        for limit in (5, 7)
    ]
    assert caps[0] == caps[1]
    assert Budget.objects.get().limit_nanos == 7
    reasons = set(Revision.objects.values_list("reason", flat=True))
    assert f"By {head}, head of the department" in reasons


@pytest.mark.parametrize("limits", [Limits(-1), Limits(5, 6), Limits(5, -1)])
def test_limits_that_make_no_sense_are_refused(
    head: User, owner: User, department: Department, limits: Limits
) -> None:
    cap = BudgetFactory(department=department, user=owner)
    with pytest.raises(InvalidAmountError):
        change_cap(by=head, budget=cap, limits=limits)
    with pytest.raises(InvalidAmountError):
        set_cap(by=head, department=department, person=owner, period=MONTH, limits=limits)


def test_only_who_heads_the_department_now_sets_caps_for_who_is_in_it(
    head: User, owner: User, colleague: User, department: Department
) -> None:
    other = head.memberships.exclude(department=department).get().department
    for by, payer, person in (
        (colleague, department, owner),
        (head, other, owner),
        (head, department, MembershipFactory().user),
    ):
        with pytest.raises(NotAllowedError):
            set_cap(by=by, department=payer, person=person, period=MONTH, limits=Limits(1))
    assert not Budget.objects.exists()


def test_a_cap_of_who_left_can_still_be_changed_and_removed(
    head: User, owner: User, department: Department
) -> None:
    cap = BudgetFactory(department=department, user=owner)
    owner.memberships.all().delete()
    change_cap(by=head, budget=cap, limits=Limits(3))
    remove_cap(by=head, budget=cap)
    remove_cap(by=head, budget=cap)
    cap.refresh_from_db()
    assert (cap.limit_nanos, cap.is_enabled) == (3, False)
    head.memberships.filter(department=department).delete()
    assert not may_change(by=head, budget=cap)
    with pytest.raises(NotAllowedError):
        remove_cap(by=head, budget=cap)
