"""The journal of parameter values: each change a new revision, exactly one of them active."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Revision(models.Model):
    """All values that differ from their defaults, from one change to the next."""

    values = models.JSONField(
        _("values"), default=dict, help_text=_("Parameter → value; absent: the default.")
    )
    changed = models.JSONField(_("change"), default=dict, help_text=_("Parameter → [old, new]."))
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

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        constraints = (
            models.UniqueConstraint(
                fields=("is_active",), condition=Q(is_active=True), name="revision_one_active"
            ),
        )

    def __str__(self) -> str:
        return ", ".join(self.changed) or str(self.pk)
