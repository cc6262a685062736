"""Caps of single people below a department's budget: set, changed and removed by the heads of that department."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.accounts.models import Department, Membership, User
from apps.billing.errors import InvalidAmountError, NotAllowedError
from apps.billing.models import Budget


@dataclass(frozen=True, slots=True)
class Limits:
    """What a cap allows, in nanos; `soft_limit_nanos` None: nothing before the limit itself."""

    limit_nanos: int
    soft_limit_nanos: int | None = None
    at_limit: Budget.AtLimit = Budget.AtLimit.REFUSE


def may_set(*, by: User, department: Department) -> bool:
    """Say whether the person may set caps in this department: its heads may."""
    return (
        by.is_active and by.memberships.heads().filter(department=department).exists()
    )


def set_cap(
    *, by: User, department: Department, person: User, period: Budget.Period, limits: Limits
) -> Budget:
    """Set or change what one member may spend of the department's money in a period.

    There is one cap for each person and period; an earlier one of the same takes the new limits, also when it was removed.

    Raises:
        NotAllowedError: they do not head the department, or the person is no member of it and has no such cap.
        InvalidAmountError: a limit is negative, or the soft one above the other.
    """
    _check(by, department, limits)
    named = {"department": department, "user": person, "api_key": None, "period": period}
    is_member = Membership.objects.filter(department=department, user=person).exists()
    if not is_member and not Budget.objects.filter(**named).exists():
        raise NotAllowedError(_("This person is not in the department."))
    budget, _made = Budget.objects.update_or_create(
        **named,
        defaults={
            "limit_nanos": limits.limit_nanos,
            "soft_limit_nanos": limits.soft_limit_nanos,
            "at_limit": limits.at_limit,
            "is_enabled": True,
        },
    )
    return budget


def remove_cap(*, by: User, budget: Budget) -> None:
    """Have a cap hold no more; what it counted is kept. Removing it again changes nothing.

    Raises:
        NotAllowedError: it is no cap of a person in a department they head.
    """
    department = budget.department
    is_cap = department is not None and budget.user_id is not None and budget.api_key_id is None
    if department is None or not is_cap or not may_set(by=by, department=department):
        raise NotAllowedError(_("You may not change this budget."))
    Budget.objects.filter(pk=budget.pk).update(is_enabled=False)


def _check(by: User, department: Department, limits: Limits) -> None:
    if not may_set(by=by, department=department):
        raise NotAllowedError(_("Only heads of the department set caps in it."))
    soft = limits.soft_limit_nanos
    if limits.limit_nanos < 0 or (soft is not None and not 0 <= soft <= limits.limit_nanos):
        raise InvalidAmountError(_("The soft limit is at most the limit, and neither is below zero."))
