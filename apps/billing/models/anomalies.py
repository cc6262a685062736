"""Cost that was not expected, with what it consists of."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department
from apps.core.ids import uuid7


class Anomaly(models.Model):
    """One department's unexpected cost over some hours; hours in a row that stand out are one."""

    class Kind(models.TextChoices):
        SPIKE = "SPIKE", _("More than expected")
        BURN_RATE = "BURN_RATE", _("Too much of the month in an hour")
        UNKNOWN_MODEL = "UNKNOWN_MODEL", _("A model not used before")
        PRICE_CHANGE = "PRICE_CHANGE", _("A price changed")
        ONE_PERSON = "ONE_PERSON", _("Most of it by one person")
        DRIFT = "DRIFT", _("Rising slowly")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=14, choices=Kind.choices)
    department = models.ForeignKey(Department, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    expected_nanos = models.BigIntegerField(_("expected"))
    actual_nanos = models.BigIntegerField(_("actual"))
    p_value = models.FloatField(_("p value"), null=True)
    # Nanos by cause: volume, tokens, price_mix; they add up to actual − expected.
    causes = models.JSONField(_("causes"), default=dict)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("found"), default=timezone.now)
    emailed_at = models.DateTimeField(_("e-mailed"), null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(_("seen to"), null=True)

    class Meta:
        verbose_name = _("cost anomaly")
        verbose_name_plural = _("cost anomalies")
        constraints = (
            models.UniqueConstraint(
                fields=("department", "kind", "starts_at", "detail"), name="anomaly_once"
            ),
        )
        indexes = (models.Index(fields=("-starts_at",), name="anomaly_started"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.department}"
