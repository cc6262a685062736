"""Budgets: what may be spent by whom in which period, how it is raised, and who was told."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import ApiKey, Department
from apps.core.ids import uuid7


class Budget(models.Model):
    """A limit on the calls that match all of its department, person and key; none of the three: on every call."""

    class Period(models.TextChoices):
        DAY = "DAY", _("A day")
        MONTH = "MONTH", _("A month")
        TOTAL = "TOTAL", _("In all")

    class AtLimit(models.TextChoices):
        REFUSE = "REFUSE", _("Go on until the limit, then refuse")
        CHEAPER_MODEL = "CHEAPER_MODEL", _("Cheapest model from the soft limit on")
        CACHED_ONLY = "CACHED_ONLY", _("Only earlier answers from the soft limit on")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    department = models.ForeignKey(
        Department,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="budgets",
        verbose_name=_("department"),
        help_text=_("Calls this department pays. Empty: any department."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="budgets",
        verbose_name=_("person"),
        help_text=_(
            "Calls made for this person. With a department: a personal cap below its budget."
        ),
    )
    api_key = models.ForeignKey(
        ApiKey,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="budgets",
        verbose_name=_("API key"),
        help_text=_("Calls made with this key."),
    )
    period = models.CharField(
        _("period"),
        max_length=5,
        choices=Period.choices,
        default=Period.MONTH,
        help_text=_("When the budget refills; days and months are those of the billing time zone."),
    )
    limit_nanos = models.BigIntegerField(
        _("limit"), help_text=_("No call begins that could take the period's cost above this.")
    )
    soft_limit_nanos = models.BigIntegerField(
        _("soft limit"),
        null=True,
        blank=True,
        help_text=_("From here on people are warned, and what is chosen below begins."),
    )
    at_limit = models.CharField(
        _("at the limit"),
        max_length=13,
        choices=AtLimit.choices,
        default=AtLimit.REFUSE,
        help_text=_("What calls may still do between the soft limit and the limit."),
    )
    is_raised_by_heads = models.BooleanField(
        _("heads may raise it"),
        default=True,
        help_text=_("Heads of the department approve requests for more. Off: only operators do."),
    )
    is_enabled = models.BooleanField(
        _("on"), default=True, help_text=_("Off: calls are neither counted nor refused by it.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = (
            models.CheckConstraint(condition=Q(limit_nanos__gte=0), name="budget_not_negative"),
            models.CheckConstraint(
                condition=Q(soft_limit_nanos__isnull=True)
                | Q(soft_limit_nanos__gte=0, soft_limit_nanos__lte=F("limit_nanos")),
                name="budget_soft_below_hard",
            ),
            models.UniqueConstraint(
                fields=("department", "user", "api_key", "period"),
                nulls_distinct=False,
                name="budget_once",
            ),
        )

    def __str__(self) -> str:
        subjects = [str(one) for one in (self.department, self.user, self.api_key) if one]
        return " · ".join([*(subjects or [str(_("Everybody"))]), str(self.get_period_display())])

    @property
    def subject(self) -> str:
        """Return whose budget it is: a key's, a person's, a department's or everybody's; the narrowest counts."""
        if self.api_key_id:
            return "key"
        if self.user_id:
            return "person"
        return "department" if self.department_id else "everybody"


class BudgetPeriod(models.Model):
    """What one budget's calls of one day, month or in all hold and cost; changed by the billing functions alone."""

    budget = models.ForeignKey(
        Budget, on_delete=models.PROTECT, related_name="periods", db_index=False
    )
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("refills"), null=True)
    reserved_nanos = models.BigIntegerField(_("held for open calls"), default=0)
    spent_nanos = models.BigIntegerField(_("spent"), default=0)
    # The budget was off for a part of the period, and the calls of that part are not counted.
    has_gaps = models.BooleanField(_("was off for a part"), default=False)

    class Meta:
        verbose_name = _("budget period")
        verbose_name_plural = _("budget periods")
        constraints = (
            models.UniqueConstraint(fields=("budget", "starts_at"), name="budget_period_once"),
            models.CheckConstraint(
                condition=Q(reserved_nanos__gte=0, spent_nanos__gte=0),
                name="budget_period_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.budget} {self.starts_at:%Y-%m-%d}"


class BudgetRequest(models.Model):
    """Somebody's asking for more of a budget; answered once."""

    class State(models.TextChoices):
        WAITING = "WAITING", _("Waiting")
        APPROVED = "APPROVED", _("Approved")
        DECLINED = "DECLINED", _("Declined")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="requests")
    asker = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="budget_requests"
    )
    amount_nanos = models.BigIntegerField(_("amount"))
    reason = models.CharField(_("reason"), max_length=500)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.WAITING)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(_("decided"), null=True)
    created_at = models.DateTimeField(_("asked"), default=timezone.now)
    asking_emailed_at = models.DateTimeField(_("asking e-mailed"), null=True, editable=False)
    answer_emailed_at = models.DateTimeField(_("answer e-mailed"), null=True, editable=False)

    class Meta:
        verbose_name = _("request for budget")
        verbose_name_plural = _("requests for budget")
        constraints = (
            models.CheckConstraint(condition=Q(amount_nanos__gt=0), name="budget_request_positive"),
            models.UniqueConstraint(
                fields=("budget", "asker"),
                condition=Q(state="WAITING"),
                name="budget_request_waiting_once",
            ),
        )

    def __str__(self) -> str:
        return f"{self.asker} · {self.budget}"


class BudgetIncrease(models.Model):
    """More of a budget until a moment: its limits are higher by this much while it lasts."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    budget = models.ForeignKey(
        Budget,
        on_delete=models.PROTECT,
        related_name="increases",
        verbose_name=_("budget"),
        help_text=_("The budget that is raised."),
    )
    amount_nanos = models.BigIntegerField(
        _("amount"), help_text=_("Added to the limit and the soft limit while it lasts.")
    )
    starts_at = models.DateTimeField(
        _("from"), default=timezone.now, help_text=_("When it begins.")
    )
    expires_at = models.DateTimeField(
        _("until"), help_text=_("When it ends by itself; what was spent stays spent.")
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    request = models.OneToOneField(
        BudgetRequest,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="increase",
    )
    reason = models.CharField(
        _("reason"), max_length=500, help_text=_("Why; shown beside the budget.")
    )

    class Meta:
        verbose_name = _("increase of a budget")
        verbose_name_plural = _("increases of budgets")
        constraints = (
            models.CheckConstraint(
                condition=Q(amount_nanos__gt=0), name="budget_increase_positive"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("starts_at")), name="budget_increase_ends"
            ),
        )

    def __str__(self) -> str:
        return f"{self.budget} +{self.amount_nanos}"


class BudgetAlert(models.Model):
    """That people were told how far a budget's period has come; each threshold once a period."""

    class Kind(models.TextChoices):
        SPENT = "SPENT", _("Share spent")
        FORECAST = "FORECAST", _("Will not last")
        EXCESS = "EXCESS", _("A call cost more than it held")

    budget_period = models.ForeignKey(BudgetPeriod, on_delete=models.PROTECT, related_name="alerts")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    percent = models.PositiveSmallIntegerField(_("percent of the limit"), default=0)
    spent_nanos = models.BigIntegerField(_("spent then"))
    limit_nanos = models.BigIntegerField(_("limit then"))
    forecast_nanos = models.BigIntegerField(_("forecast then"), null=True)
    created_at = models.DateTimeField(_("raised"), default=timezone.now)
    emailed_at = models.DateTimeField(_("e-mailed"), null=True)

    class Meta:
        verbose_name = _("budget alert")
        verbose_name_plural = _("budget alerts")
        constraints = (
            models.UniqueConstraint(
                fields=("budget_period", "kind", "percent"), name="budget_alert_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.budget_period} {self.kind} {self.percent} %"
