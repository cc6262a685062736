"""Who may give more of a budget: heads of its department where it says so, else operators."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.accounts.models import Membership, User
from apps.billing.models import Budget

# Enough to ask somebody; a refusal is not a directory.
NAMED = 3


def department_id(budget: Budget) -> UUID | None:
    """Return the department whose heads may decide: the budget's own, else its key's; None: only operators may."""
    if not budget.is_raised_by_heads:
        return None
    return budget.department_id or (budget.api_key.department_id if budget.api_key else None)


def may_decide(*, user: User, budget: Budget) -> bool:
    """Say whether the person may give more of this budget, or decline to."""
    if not user.is_active:
        return False
    department = department_id(budget)
    is_head = (
        department is not None
        and Membership.objects.heads().filter(user=user, department_id=department).exists()
    )
    return user.is_operator or is_head


def decidable_by(user: User) -> Q:
    """Return which budgets the person decides on as a head, as a filter of budgets."""
    headed = Membership.objects.heads().filter(user=user).values("department_id")
    return Q(is_raised_by_heads=True) & (
        Q(department__in=headed) | Q(department__isnull=True, api_key__department__in=headed)
    )


def approvers(budget: Budget) -> QuerySet[User]:
    """Return who is asked for more: the heads, or where there are none or they may not, the operators."""
    active = User.objects.filter(is_active=True)
    if department := department_id(budget):
        heads = active.filter(
            memberships__in=Membership.objects.heads().filter(department_id=department)
        )
        if heads.exists():
            return heads
    return active.filter(is_operator=True)


def approver_names(budgets: Sequence[Budget]) -> dict[UUID, tuple[str, ...]]:
    """Return the names of whom to ask by budget, a few of each (two queries for all)."""
    departments = {budget.pk: department_id(budget) for budget in budgets}
    heads: dict[UUID | None, list[str]] = defaultdict(list)
    memberships = Membership.objects.heads().filter(
        department__in={one for one in departments.values() if one}, user__is_active=True
    )
    for membership in memberships.select_related("user").order_by("user__full_name", "user_id"):
        heads[membership.department_id].append(str(membership.user))
    operators = [
        str(user)
        for user in User.objects.filter(is_operator=True, is_active=True).order_by("created_at")[
            :NAMED
        ]
    ]
    return {
        pk: tuple(heads.get(department, operators)[:NAMED])
        for pk, department in departments.items()
    }
