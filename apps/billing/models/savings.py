"""What was not spent, and thanks to what; entries are only ever added."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department


class Mechanism(models.TextChoices):
    """What saves money, in the order in which a request's saving is attributed."""

    EXACT_CACHE = "EXACT_CACHE", _("Earlier answer, same question")
    SEMANTIC_CACHE = "SEMANTIC_CACHE", _("Earlier answer, same meaning")
    ROUTE = "ROUTE", _("Cheaper model")
    PACKING = "PACKING", _("Fewer tokens sent")
    PROVIDER_CACHE = "PROVIDER_CACHE", _("Provider's own cache")
    BATCH = "BATCH", _("Batches that may wait")


class Saving(models.Model):
    """What one mechanism saved one request, and what the mechanism itself cost it.

    For each request: baseline = actual + Σ saved − Σ overhead.
    """

    request_id = models.UUIDField(_("request"))
    attempt = models.PositiveSmallIntegerField(_("attempt"), default=0)
    mechanism = models.CharField(_("thanks to"), max_length=14, choices=Mechanism.choices)
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    saved_nanos = models.BigIntegerField(_("saved"))
    overhead_nanos = models.BigIntegerField(_("cost of saving it"), default=0)
    saved_ms = models.IntegerField(_("time saved"), default=0)
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("saving")
        verbose_name_plural = _("savings")
        constraints = (
            models.UniqueConstraint(
                fields=("request_id", "attempt", "mechanism"), name="saving_once"
            ),
            models.CheckConstraint(
                condition=Q(saved_nanos__gte=0, overhead_nanos__gte=0), name="saving_not_negative"
            ),
        )
        indexes = (
            models.Index(fields=("created_at", "department"), name="saving_created"),
            models.Index(fields=("user", "created_at"), name="saving_user"),
        )

    def __str__(self) -> str:
        return f"{self.request_id} {self.mechanism}"


class SavingMonth(models.Model):
    """What a month that is over saved a department by one mechanism; by all of them where it is empty. Remakeable.

    The last three are of hits by meaning that were computed all the same: see `savings.Audit`.
    """

    starts_at = models.DateTimeField(_("from"))
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    mechanism = models.CharField(_("thanks to"), max_length=14)
    request_count = models.IntegerField(_("requests"))
    saved_nanos = models.BigIntegerField(_("saved"))
    overhead_nanos = models.BigIntegerField(_("cost of saving it"))
    saved_ms = models.BigIntegerField(_("time saved"))
    checked_count = models.IntegerField(_("checked"))
    claimed_nanos = models.BigIntegerField(_("claimed of these"))
    real_nanos = models.BigIntegerField(_("real cost of these"))

    class Meta:
        verbose_name = _("savings of a month")
        verbose_name_plural = _("savings of months")
        constraints = (
            models.UniqueConstraint(
                fields=("starts_at", "department", "mechanism"), name="saving_month_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m} {self.mechanism}"


class RoiCase(models.Model):
    """The inputs of one return-on-investment calculation."""

    name = models.CharField(_("name"), max_length=120, help_text=_("What was done."))
    monthly_before_nanos = models.BigIntegerField(
        _("cost a month before"), help_text=_("What a month cost without it.")
    )
    monthly_after_nanos = models.BigIntegerField(
        _("cost a month after"),
        null=True,
        blank=True,
        help_text=_("What a month costs with it. Empty: measured over the last full month."),
    )
    hours = models.DecimalField(
        _("hours of work"), max_digits=9, decimal_places=2, help_text=_("What it took to do.")
    )
    hourly_rate_nanos = models.BigIntegerField(
        _("cost of an hour"), help_text=_("What an hour of that work costs.")
    )

    class Meta:
        verbose_name = _("return on investment")
        verbose_name_plural = _("returns on investment")
        constraints = (
            models.CheckConstraint(
                condition=Q(monthly_before_nanos__gte=0, hours__gte=0, hourly_rate_nanos__gte=0)
                & (Q(monthly_after_nanos__isnull=True) | Q(monthly_after_nanos__gte=0)),
                name="roi_case_not_negative",
            ),
        )

    def __str__(self) -> str:
        return self.name
