"""Cost totals by hour, day, week and month, made from usage records and always remakeable."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import ApiKey, Department
from apps.billing.models.calls import Purpose


class SumCost(models.Model):
    """Sums over calls that agree in `starts_at`'s hour, day, week or month and in the dimensions a table names."""

    starts_at = models.DateTimeField(_("from"))
    call_count = models.IntegerField(_("calls"))
    # All that went in: fresh, cached, written to the cache, embedded, in batches.
    input_tokens = models.BigIntegerField(_("input tokens"))
    cached_input_tokens = models.BigIntegerField(_("of these from the provider's cache"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    amount_nanos = models.BigIntegerField(_("amount"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.call_count}"


class DepartmentSumCost(SumCost):
    """Sums by department."""

    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        abstract = True


class KindSumCost(SumCost):
    """Sums by kind of call."""

    product = models.CharField(_("product"), max_length=40)
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose.choices)
    provider_code = models.CharField(_("provider"), max_length=60)
    model_code = models.CharField(_("model"), max_length=120)
    tags = ArrayField(models.CharField(max_length=40), verbose_name=_("tags"), default=list)

    class Meta:
        abstract = True


class CostTotal(DepartmentSumCost, KindSumCost):
    """Sums by all dimensions but the person."""

    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} {self.model_code}"


DIMENSIONS = (
    "starts_at", "department", "api_key", "product", "purpose", "provider_code", "model_code", "tags",
)  # fmt: skip


class HourlyCost(CostTotal):
    """By hour: in which hours the calls of a list are, and what anomalies consist of."""

    class Meta:
        verbose_name = _("hourly cost")
        verbose_name_plural = _("hourly costs")
        constraints = (
            models.UniqueConstraint(
                fields=DIMENSIONS, nulls_distinct=False, name="hourly_cost_once"
            ),
        )
        indexes = (models.Index(fields=("department", "starts_at"), name="hourly_cost_department"),)


class DepartmentCost(DepartmentSumCost):
    """By day and department and nothing else: what the charts of days look at."""

    class Meta:
        verbose_name = _("cost by department")
        verbose_name_plural = _("costs by department")
        constraints = (
            models.UniqueConstraint(
                fields=("starts_at", "department"), name="department_cost_once"
            ),
        )


class DepartmentHourCost(DepartmentSumCost):
    """By hour and department and nothing else: what forecasts and anomaly detection look at."""

    class Meta:
        verbose_name = _("cost by department and hour")
        verbose_name_plural = _("costs by department and hour")
        constraints = (
            models.UniqueConstraint(
                fields=("starts_at", "department"), name="department_hour_cost_once"
            ),
        )
        indexes = (
            models.Index(fields=("department", "starts_at"), name="department_hour_cost_of"),
        )


class OrganisationCost(KindSumCost):
    """By day and kind of call, whoever made it: the chart of days of the whole organisation, narrowed."""

    class Meta:
        verbose_name = _("cost of the organisation")
        verbose_name_plural = _("costs of the organisation")
        constraints = (
            models.UniqueConstraint(
                fields=(
                    *("starts_at", "product", "purpose"),
                    *("provider_code", "model_code", "tags"),
                ),
                name="organisation_cost_once",
            ),
        )


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


class PersonTotal(CostTotal):
    """The same with the person."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )

    class Meta:
        abstract = True


class PersonCost(PersonTotal):
    """By day and person."""

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


class PersonWeekCost(PersonTotal):
    """By week, cut where a month begins, and person: spans of a month's length have few days beside whole weeks."""

    class Meta:
        verbose_name = _("weekly cost by person")
        verbose_name_plural = _("weekly costs by person")
        constraints = (
            models.UniqueConstraint(
                fields=(*DIMENSIONS, "user"), nulls_distinct=False, name="person_week_cost_once"
            ),
        )
        # Its rows lie in this order, which the planner sees of an index of one column only.
        indexes = (models.Index(fields=("starts_at",), name="person_week_cost_week"),)


class PersonMonthlyCost(PersonTotal):
    """By month and person: the dearest people of a whole organisation are found in it."""

    class Meta:
        verbose_name = _("monthly cost by person")
        verbose_name_plural = _("monthly costs by person")
        constraints = (
            models.UniqueConstraint(
                fields=(*DIMENSIONS, "user"), nulls_distinct=False, name="person_monthly_cost_once"
            ),
        )
        indexes = (models.Index(fields=("user", "starts_at"), name="person_monthly_cost_user"),)


class PersonSumCost(DepartmentSumCost):
    """Sums by department and person and nothing else."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )

    class Meta:
        abstract = True


class PersonDayCost(PersonSumCost):
    """By day: who was the dearest in days that make no month."""

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


class MemberCost(PersonSumCost):
    """By month: who was the dearest of a year."""

    class Meta:
        verbose_name = _("cost by person and month")
        verbose_name_plural = _("costs by person and month")
        constraints = (
            models.UniqueConstraint(
                fields=("starts_at", "department", "user"),
                nulls_distinct=False,
                name="member_cost_once",
            ),
        )
