"""Departments, and who belongs to them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.accounts.models.users import User
from apps.accounts.querysets import DepartmentQuerySet, MembershipQuerySet
from apps.core.ids import uuid7


class Department(models.Model):
    """A part of the organisation that pays for what its people use."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.SlugField(
        _("code"),
        max_length=40,
        unique=True,
        help_text=_("Short and stable: it names the department in exports."),
    )
    name = models.CharField(
        _("name"), max_length=120, help_text=_("Shown wherever the department appears.")
    )

    objects = DepartmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's belonging to a department; a person can be in several."""

    class Role(models.TextChoices):
        MEMBER = "MEMBER", _("Member")
        HEAD = "HEAD", _("Head")

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="memberships", help_text=_("Who belongs.")
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        related_name="memberships",
        help_text=_("To which department."),
    )
    role = models.CharField(
        _("role"),
        max_length=10,
        choices=Role.choices,
        default=Role.MEMBER,
        help_text=_("Heads also manage the documents shared with their department."),
    )

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = (
            models.UniqueConstraint(fields=("user", "department"), name="membership_once"),
        )

    def __str__(self) -> str:
        return f"{self.user} · {self.department}"
