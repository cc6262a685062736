"""Closed months: the frozen statements, and the shared costs spread over departments by rule."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department
from apps.billing.calendar import zone
from apps.core.ids import uuid7


class MonthClose(models.Model):
    """That a month of the billing time zone is closed: nothing is booked into it any more."""

    starts_at = models.DateTimeField(_("month"), unique=True)
    ends_at = models.DateTimeField(_("ends"))
    closed_at = models.DateTimeField(_("closed"))
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        verbose_name = _("closed month")
        verbose_name_plural = _("closed months")

    def __str__(self) -> str:
        return f"{self.starts_at.astimezone(zone()):%Y-%m}"


class Statement(models.Model):
    """What one department owes for one closed month; frozen.

    `lines` are what was used, by purpose, provider and model; `adjustments` the corrections booked in the month;
    `shared` its part of each shared cost. total = usage + adjustments (may be negative) + shared.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    month = models.ForeignKey(MonthClose, on_delete=models.PROTECT, related_name="statements")
    department = models.ForeignKey(Department, on_delete=models.PROTECT, related_name="statements")
    department_code = models.CharField(_("code then"), max_length=40)
    department_name = models.CharField(_("name then"), max_length=120)
    currency = models.CharField(_("currency"), max_length=3)
    lines = models.JSONField(_("usage lines"))
    adjustments = models.JSONField(_("adjustment lines"))
    shared = models.JSONField(_("shared cost lines"))
    usage_nanos = models.BigIntegerField(_("usage"))
    adjustments_nanos = models.BigIntegerField(_("adjustments"))
    shared_nanos = models.BigIntegerField(_("shared costs"))
    total_nanos = models.BigIntegerField(_("total"))

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        constraints = (
            models.UniqueConstraint(fields=("month", "department"), name="statement_once"),
            models.CheckConstraint(
                condition=Q(
                    total_nanos=models.F("usage_nanos")
                    + models.F("adjustments_nanos")
                    + models.F("shared_nanos")
                ),
                name="statement_adds_up",
            ),
        )

    def __str__(self) -> str:
        return f"{self.department_name} {self.month}"


class SharedCost(models.Model):
    """A cost nobody caused alone, spread over the departments when a month closes."""

    class Method(models.TextChoices):
        PROPORTIONAL = "PROPORTIONAL", _("By what each used")
        FIXED = "FIXED", _("By fixed shares")
        EVEN = "EVEN", _("Evenly")

    name = models.CharField(_("name"), max_length=120, help_text=_("Shown on every statement."))
    amount_nanos = models.BigIntegerField(
        _("amount a month"),
        null=True,
        blank=True,
        help_text=_("What it costs each month. Empty when a department's own cost is spread."),
    )
    source_department = models.ForeignKey(
        Department,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("department whose cost is spread"),
        help_text=_("For example the one that pays for shared documents. Empty: the amount above."),
    )
    method = models.CharField(
        _("how it is spread"),
        max_length=12,
        choices=Method.choices,
        default=Method.PROPORTIONAL,
        help_text=_("The rule that gives each department its part."),
    )
    shares = models.JSONField(
        _("fixed shares"),
        default=dict,
        blank=True,
        help_text=_('Only for fixed shares: department codes and weights, {"sales": 2, "it": 1}.'),
    )
    starts_on = models.DateField(_("from month"), help_text=_("The first month it counts in."))
    ends_on = models.DateField(
        _("to month"), null=True, blank=True, help_text=_("The last month; empty: goes on.")
    )

    class Meta:
        verbose_name = _("shared cost")
        verbose_name_plural = _("shared costs")
        constraints = (
            models.CheckConstraint(
                condition=Q(amount_nanos__gte=0, source_department__isnull=True)
                | Q(amount_nanos__isnull=True, source_department__isnull=False),
                name="shared_cost_one_source",
            ),
        )

    def __str__(self) -> str:
        return self.name
