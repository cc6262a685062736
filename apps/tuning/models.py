"""The journal of everything an operator turns, changes that wait for their time, and who may turn what."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.tuning.querysets import PARAMETERS, RevisionQuerySet, ScheduledChangeQuerySet


class Revision(models.Model):
    """One change of one subject, with all its values after it: of the parameters together, or of one row.

    Ids are given under one lock (`journal.write`), so that they rise in the order of the commits. Secrets are never here.
    """

    class Action(models.TextChoices):
        CHANGED = "CHANGED", _("changed")
        CREATED = "CREATED", _("created")
        DELETED = "DELETED", _("deleted")
        RESTORED = "RESTORED", _("rolled back")
        FOUND = "FOUND", _("as it was before its first change here")

    subject = models.CharField(
        _("subject"),
        max_length=200,
        default=PARAMETERS,
        help_text=_("“parameters”, or app, table and key of one row."),
    )
    label = models.CharField(
        _("name"), max_length=200, blank=True, default="", help_text=_("How the row is called.")
    )
    action = models.CharField(
        _("what was done"), max_length=8, choices=Action.choices, default=Action.CHANGED
    )
    values = models.JSONField(
        _("values"),
        default=dict,
        help_text=_(
            "All values after the change; parameters that are absent have their default. "
            "Of a deleted row: its last values."
        ),
    )
    changed = models.JSONField(
        _("change"), default=dict, help_text=_("Name → [old, new]; null: a secret was changed.")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Who changed it; empty: a management command."),
    )
    reason = models.TextField(
        _("reason"), blank=True, default="", help_text=_("Why; for whoever reads it later.")
    )
    created_at = models.DateTimeField(_("at"), default=timezone.now)
    is_active = models.BooleanField(_("active"), default=True)

    objects: ClassVar[RevisionQuerySet] = RevisionQuerySet.as_manager()  # type: ignore[assignment]  # a manager with its methods

    class Meta:
        verbose_name = _("journal entry")
        verbose_name_plural = _("journal entries")
        constraints = (
            models.UniqueConstraint(
                fields=("subject",), condition=Q(is_active=True), name="revision_one_active"
            ),
        )
        indexes = (models.Index(fields=("subject", "-id"), name="revision_subject"),)

    def __str__(self) -> str:
        return f"{self.pk}: {self.title}"

    @property
    def title(self) -> str:
        """What was changed, in a few words: the parameters' names, or the row's."""
        if self.subject != PARAMETERS:
            return self.label or self.subject
        return ", ".join(sorted(self.changed)) or self.subject


class ScheduledChange(models.Model):
    """A change of one subject that is made when its time comes, by whichever worker claims it first."""

    subject = models.CharField(_("subject"), max_length=200, default=PARAMETERS)
    label = models.CharField(_("name"), max_length=200, blank=True, default="")
    values = models.JSONField(
        _("values"), default=dict, help_text=_("Name → new value; a parameter's null: its default.")
    )
    due_at = models.DateTimeField(_("due"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    reason = models.TextField(_("reason"), blank=True, default="")
    created_at = models.DateTimeField(_("scheduled"), default=timezone.now)
    applied_at = models.DateTimeField(_("made"), null=True, blank=True)
    revision = models.ForeignKey(
        Revision, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    refused_at = models.DateTimeField(_("refused"), null=True, blank=True)
    error = models.TextField(_("why refused"), blank=True, default="")
    cancelled_at = models.DateTimeField(_("cancelled"), null=True, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    objects: ClassVar[ScheduledChangeQuerySet] = ScheduledChangeQuerySet.as_manager()  # type: ignore[assignment]  # a manager with its methods

    class Meta:
        verbose_name = _("scheduled change")
        verbose_name_plural = _("scheduled changes")
        constraints = (
            models.CheckConstraint(
                condition=Q(applied_at__isnull=True, refused_at__isnull=True)
                | Q(applied_at__isnull=True, cancelled_at__isnull=True)
                | Q(refused_at__isnull=True, cancelled_at__isnull=True),
                name="scheduled_ends_one_way",
            ),
        )
        indexes = (
            models.Index(
                fields=("due_at",),
                condition=Q(
                    applied_at__isnull=True, refused_at__isnull=True, cancelled_at__isnull=True
                ),
                name="scheduled_due",
            ),
        )

    def __str__(self) -> str:
        return f"{self.label or self.subject}: {', '.join(sorted(self.values))}"

    @property
    def is_waiting(self) -> bool:
        """Say whether it has still to come."""
        return not (self.applied_at or self.refused_at or self.cancelled_at)


class Right(models.Model):
    """One person's right to turn what a pattern names; what no right names may be turned by every operator."""

    pattern = models.CharField(
        _("what"),
        max_length=200,
        validators=[
            RegexValidator(
                r"^[a-z_*?]+\.[^\s\[\]]+$",
                _("Write a parameter like documents.*, or rows like llm.provider:*."),
            )
        ],
        help_text=_(
            "Names of parameters (documents.*) or of rows (caching.cachepolicy:*, llm.provider:embedded); "
            "* stands for any letters. Once an entry names something, only the people of such entries may turn it. "
            "tuning.right:* names these entries themselves."
        ),
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("person"),
        help_text=_("The operator who may turn it; one entry for each person."),
    )

    class Meta:
        verbose_name = _("right to turn")
        verbose_name_plural = _("rights to turn")
        constraints = (models.UniqueConstraint(fields=("pattern", "person"), name="right_once"),)

    def __str__(self) -> str:
        return f"{self.pattern}: {self.person}"
