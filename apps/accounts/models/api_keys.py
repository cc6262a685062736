"""Keys that programs sign in with."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models.departments import Department
from apps.accounts.models.users import User
from apps.core.ids import uuid7


class ApiKey(models.Model):
    """A key a program signs in with, for one department; of the secret only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(
        _("name"), max_length=120, help_text=_("What uses it; shown on cost pages.")
    )
    prefix = models.CharField(_("prefix"), max_length=12, unique=True, editable=False)
    secret_hash = models.BinaryField(editable=False)
    owner = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        related_name="api_keys",
        verbose_name=_("owner"),
        help_text=_("Whose rights it has."),
    )
    department = models.ForeignKey(
        Department,
        on_delete=models.CASCADE,
        related_name="api_keys",
        verbose_name=_("department"),
        help_text=_("Pays for its calls."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: the key is refused.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
