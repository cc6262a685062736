"""Which tags somebody may put on what they own, so that its cost can be told apart."""

from collections.abc import Iterable

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.accounts.models import Department, Membership, User
from apps.billing.errors import BillingError
from apps.billing.models import CostTag


class TagNotAllowedError(BillingError):
    """A tag doesn't exist, belongs to another department, or is for heads; the text is fit for the person."""


def allowed(*, user: User, department: Department) -> list[CostTag]:
    """Return the tags the person may set on what this department pays for, one of each code, by code.

    Tags of all departments and of this one; those for heads only where the person heads the department. Nobody but an
    active member may set any.
    """
    role = _role(user, department)
    if role is None:
        return []
    tags = CostTag.objects.filter(Q(department__isnull=True) | Q(department=department))
    if role != Membership.Role.HEAD:
        tags = tags.filter(set_by=CostTag.SetBy.EVERYONE)
    # A department's own tag comes before one of all departments with the same code.
    by_code: dict[str, CostTag] = {}
    for tag in tags.order_by("code", "department_id"):
        by_code.setdefault(tag.code, tag)
    return list(by_code.values())


def check(*, codes: Iterable[str], user: User, department: Department) -> tuple[str, ...]:
    """Return these codes, sorted and each once, if the person may set them all on what the department pays for.

    Raises:
        TagNotAllowedError: one of them they may not; it is named.
    """
    wanted = sorted(set(codes))
    if not wanted:
        return ()
    known = {tag.code for tag in allowed(user=user, department=department)}
    for code in wanted:
        if code not in known:
            said = _("The tag “%(code)s” can't be set by you on what %(department)s pays for.")
            raise TagNotAllowedError(said % {"code": code, "department": department})
    return tuple(wanted)


def _role(user: User, department: Department) -> str | None:
    """Return what the person is in the department, None where they belong to it no longer."""
    if not user.is_active:
        return None
    roles = Membership.objects.filter(user=user, department=department)
    return roles.values_list("role", flat=True).first()
