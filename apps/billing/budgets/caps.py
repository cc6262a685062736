"""Caps of single people below a department's budget: set, changed and removed by the heads of that department."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.accounts.models import Department, Membership, User
from apps.billing.errors import InvalidAmountError, NotAllowedError
from apps.billing.models import Budget
from apps.tuning.rows import RowError
from apps.tuning.services import change_row, create_row


@dataclass(frozen=True, slots=True)
class Limits:
    """What a cap allows, in nanos; `soft_limit_nanos` None: nothing happens before the limit itself."""

    limit_nanos: int
    soft_limit_nanos: int | None = None
    at_limit: Budget.AtLimit = Budget.AtLimit.REFUSE


def may_change(*, by: User, budget: Budget) -> bool:
    """Say whether the person may change or remove this budget: heads may a member's cap, unless it is the operators'."""
    is_cap = budget.department is not None and budget.user_id is not None and not budget.api_key_id
    return is_cap and budget.is_raised_by_heads and _is_head(by, budget.department)


def set_cap(
    *, by: User, department: Department, person: User, period: Budget.Period, limits: Limits
) -> Budget:
    """Set or change what one member may spend of the department's money in a period.

    There is one cap for each person and period: an earlier one takes the new limits, also when it was removed. A new one
    counts what was spent in the running period already.

    Raises:
        NotAllowedError: they do not head the department, the person is no member, or the cap is one of the operators'.
        InvalidAmountError: a limit is negative, or the soft one above the other.
    """
    if not _is_head(by, department):
        raise NotAllowedError(_("Only heads of the department set caps in it."))
    if not Membership.objects.filter(department=department, user=person).exists():
        raise NotAllowedError(_("This person is not in the department."))
    values = _checked(limits)
    caps = Budget.objects.filter(department=department, user=person, api_key=None, period=period)
    budget = caps.first()
    if budget is None:
        budget = Budget(department=department, user=person, period=period, **values)
        try:
            create_row(instance=budget, author_id=None, reason=_reason(by))
        except RowError:
            # Another head was quicker, or what is wrong with it is told.
            budget = caps.first()
            if budget is None:
                raise
        else:
            return budget
    _change(by, budget, values)
    return budget


def change_cap(*, by: User, budget: Budget, limits: Limits) -> None:
    """Give a cap new limits, as `set_cap` does; its person may have left the department.

    Raises:
        NotAllowedError, InvalidAmountError: as `set_cap` does.
    """
    _change(by, budget, _checked(limits))


def remove_cap(*, by: User, budget: Budget) -> None:
    """Have a cap hold no more; what it counted is kept. Removing it again changes nothing.

    Raises:
        NotAllowedError: it is no cap that they may change.
    """
    _change(by, budget, {"is_enabled": False})


def _change(by: User, budget: Budget, values: dict[str, object]) -> None:
    if not may_change(by=by, budget=budget):
        raise NotAllowedError(_("You may not change this budget."))
    change_row(instance=budget, values=values, author_id=None, reason=_reason(by))


def _reason(by: User) -> str:
    # The journal's authors are operators; whose cap this is, a head decides.
    return _("By %(person)s, head of the department") % {"person": by}


def _checked(limits: Limits) -> dict[str, object]:
    soft = limits.soft_limit_nanos
    if limits.limit_nanos < 0 or (soft is not None and not 0 <= soft <= limits.limit_nanos):
        raise InvalidAmountError(
            _("The soft limit is at most the limit, and neither is below zero.")
        )
    return {
        "limit_nanos": limits.limit_nanos,
        "soft_limit_nanos": soft,
        "at_limit": limits.at_limit,
        "is_enabled": True,
    }


def _is_head(user: User, department: Department | None) -> bool:
    return (
        department is not None
        and user.is_active
        and user.memberships.heads().filter(department=department).exists()
    )
