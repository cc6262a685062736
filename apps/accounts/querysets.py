"""Named sets of people, departments and audiences; `readable_by` is where every read of shared things starts."""

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from apps.accounts.models import Audience, Department, Membership, User


class DepartmentQuerySet(models.QuerySet["Department"]):
    """Sets of departments."""

    def payable_by(self, user: "User") -> "DepartmentQuerySet":
        """Departments the person belongs to, so may charge; by name."""
        return self.filter(memberships__user=user).order_by("name")


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Sets of memberships."""

    def heads(self) -> "MembershipQuerySet":
        """Memberships of department heads."""
        return self.filter(role="HEAD")


class AudienceQuerySet(models.QuerySet["Audience"]):
    """Sets of audiences."""

    def readable_by(self, user: "User") -> "AudienceQuerySet":
        """Audiences the person is part of: everyone, their own, their departments', and those naming them.

        A signed-out or deactivated person is part of none.
        """
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(
            Q(kind="EVERYONE")
            | Q(kind="USER", user=user)
            | Q(kind="DEPARTMENT", department__memberships__user=user)
            | Q(kind="CUSTOM", members__user=user)
        ).distinct()
