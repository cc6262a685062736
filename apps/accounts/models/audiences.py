"""Audiences: who may read something."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounts.models.departments import Department
from apps.accounts.models.users import User
from apps.accounts.querysets import AudienceQuerySet


class Audience(models.Model):
    """Who may read something: everyone, a department, one person, or named people.

    The first three exist once each and are shared by all that is visible to them; a CUSTOM audience belongs to one
    thing, and its people are changed in place. `generation` moves with each change of what the audience may read.
    """

    class Kind(models.TextChoices):
        EVERYONE = "EVERYONE", _("Everyone")
        DEPARTMENT = "DEPARTMENT", _("A department")
        USER = "USER", _("One person")
        CUSTOM = "CUSTOM", _("Named people")

    kind = models.CharField(
        _("kind"), max_length=12, choices=Kind.choices, help_text=_("Who is meant.")
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="audiences",
        help_text=_("Only for a department's audience."),
    )
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="audiences",
        help_text=_("Only for one person's audience."),
    )
    generation = models.BigIntegerField(default=1, editable=False)

    objects = AudienceQuerySet.as_manager()

    class Meta:
        verbose_name = _("audience")
        verbose_name_plural = _("audiences")
        constraints = (
            models.CheckConstraint(
                name="audience_shape",
                condition=(
                    Q(kind="EVERYONE", department__isnull=True, user__isnull=True)
                    | Q(kind="DEPARTMENT", department__isnull=False, user__isnull=True)
                    | Q(kind="USER", department__isnull=True, user__isnull=False)
                    | Q(kind="CUSTOM", department__isnull=True, user__isnull=True)
                ),
            ),
            models.UniqueConstraint(
                fields=("kind",), condition=Q(kind="EVERYONE"), name="audience_everyone_once"
            ),
            models.UniqueConstraint(
                fields=("department",),
                condition=Q(kind="DEPARTMENT"),
                name="audience_department_once",
            ),
            models.UniqueConstraint(
                fields=("user",), condition=Q(kind="USER"), name="audience_user_once"
            ),
        )

    def __str__(self) -> str:
        if self.kind == self.Kind.DEPARTMENT:
            return str(self.department)
        if self.kind == self.Kind.USER:
            return str(self.user)
        return str(self.get_kind_display())


class AudienceMember(models.Model):
    """A person named in a CUSTOM audience."""

    audience = models.ForeignKey(
        Audience,
        on_delete=models.CASCADE,
        related_name="members",
        help_text=_("The named people's audience."),
    )
    user = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        related_name="audience_memberships",
        help_text=_("Who may read."),
    )

    class Meta:
        verbose_name = _("named person")
        verbose_name_plural = _("named people")
        constraints = (
            models.UniqueConstraint(fields=("audience", "user"), name="audience_member_once"),
        )

    def __str__(self) -> str:
        return str(self.user)
