"""The tags costs can carry."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department


class CostTag(models.Model):
    """A word a conversation, document or key can carry so that its cost can be told apart."""

    class SetBy(models.TextChoices):
        EVERYONE = "EVERYONE", _("Everyone in the department")
        HEADS = "HEADS", _("Heads only")

    code = models.SlugField(
        _("code"), max_length=40, help_text=_("Short and stable: it names the tag in exports.")
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="cost_tags",
        verbose_name=_("department"),
        help_text=_("Whose cost may carry it. Empty: all departments'."),
    )
    set_by = models.CharField(
        _("who may set it"),
        max_length=8,
        choices=SetBy.choices,
        default=SetBy.EVERYONE,
        help_text=_("Who may put it on what they own."),
    )

    class Meta:
        verbose_name = _("cost tag")
        verbose_name_plural = _("cost tags")
        constraints = (
            models.UniqueConstraint(
                fields=("code", "department"), nulls_distinct=False, name="cost_tag_once"
            ),
        )

    def __str__(self) -> str:
        return self.code
