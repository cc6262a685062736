"""Cost totals by hour and day, made from usage records and always remakeable; and the tags costs can carry."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import ApiKey, Department
from apps.billing.models.calls import Purpose


class CostTotal(models.Model):
    """Sums over calls that agree in all dimensions below; `starts_at` is where the hour or day begins."""

    starts_at = models.DateTimeField(_("from"))
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    product = models.CharField(_("product"), max_length=40)
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose.choices)
    provider_code = models.CharField(_("provider"), max_length=60)
    model_code = models.CharField(_("model"), max_length=120)
    tags = ArrayField(models.CharField(max_length=40), verbose_name=_("tags"), default=list)
    call_count = models.IntegerField(_("calls"))
    # All that went in: fresh, cached, written to the cache, embedded, in batches.
    input_tokens = models.BigIntegerField(_("input tokens"))
    cached_input_tokens = models.BigIntegerField(_("of these from the provider's cache"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    amount_nanos = models.BigIntegerField(_("amount"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.model_code}"


DIMENSIONS = (
    "starts_at", "department", "api_key", "product", "purpose", "provider_code", "model_code", "tags",
)  # fmt: skip


class HourlyCost(CostTotal):
    """By hour; what forecasts and anomaly detection look at."""

    class Meta:
        verbose_name = _("hourly cost")
        verbose_name_plural = _("hourly costs")
        constraints = (
            models.UniqueConstraint(
                fields=DIMENSIONS, nulls_distinct=False, name="hourly_cost_once"
            ),
        )
        indexes = (models.Index(fields=("department", "starts_at"), name="hourly_cost_department"),)


class DepartmentCost(models.Model):
    """By day and department and nothing else: what the charts of days look at."""

    starts_at = models.DateTimeField(_("from"))
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    call_count = models.IntegerField(_("calls"))
    input_tokens = models.BigIntegerField(_("input tokens"))
    cached_input_tokens = models.BigIntegerField(_("of these from the provider's cache"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    amount_nanos = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("cost by department")
        verbose_name_plural = _("costs by department")
        constraints = (
            models.UniqueConstraint(
                fields=("starts_at", "department"), name="department_cost_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} {self.department_id}"


class DailyCost(CostTotal):
    """By day of the billing time zone; what cost pages look at."""

    class Meta:
        verbose_name = _("daily cost")
        verbose_name_plural = _("daily costs")
        constraints = (
            models.UniqueConstraint(
                fields=DIMENSIONS, nulls_distinct=False, name="daily_cost_once"
            ),
        )
        indexes = (models.Index(fields=("department", "starts_at"), name="daily_cost_department"),)


class MonthlyCost(CostTotal):
    """By month of the billing time zone: what spans of whole months are summed from."""

    class Meta:
        verbose_name = _("monthly cost")
        verbose_name_plural = _("monthly costs")
        constraints = (
            models.UniqueConstraint(
                fields=DIMENSIONS, nulls_distinct=False, name="monthly_cost_once"
            ),
        )


class PersonCost(CostTotal):
    """By day and person."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )

    class Meta:
        verbose_name = _("cost by person")
        verbose_name_plural = _("costs by person")
        constraints = (
            models.UniqueConstraint(
                fields=(*DIMENSIONS, "user"), nulls_distinct=False, name="person_cost_once"
            ),
        )
        indexes = (
            models.Index(fields=("user", "starts_at"), name="person_cost_user"),
            models.Index(fields=("department", "starts_at"), name="person_cost_department"),
        )


class PersonMonthlyCost(CostTotal):
    """By month and person: the dearest people of a whole organisation are found in it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )

    class Meta:
        verbose_name = _("monthly cost by person")
        verbose_name_plural = _("monthly costs by person")
        constraints = (
            models.UniqueConstraint(
                fields=(*DIMENSIONS, "user"), nulls_distinct=False, name="person_monthly_cost_once"
            ),
        )
        indexes = (models.Index(fields=("user", "starts_at"), name="person_monthly_cost_user"),)


class PersonDayCost(models.Model):
    """By day, department and person and nothing else: who was the dearest in days that make no month."""

    starts_at = models.DateTimeField(_("from"))
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
    call_count = models.IntegerField(_("calls"))
    input_tokens = models.BigIntegerField(_("input tokens"))
    cached_input_tokens = models.BigIntegerField(_("of these from the provider's cache"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    amount_nanos = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("cost by person and day")
        verbose_name_plural = _("costs by person and day")
        constraints = (
            models.UniqueConstraint(
                fields=("starts_at", "department", "user"),
                nulls_distinct=False,
                name="person_day_cost_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} {self.user_id}"


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
