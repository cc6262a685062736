"""Prices, the reservations that open each provider call, and the usage records that close it."""

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Department
from apps.billing.querysets import PriceQuerySet, UsageRecordQuerySet
from apps.core.ids import uuid7


class Meter(models.TextChoices):
    """What a provider counts, each at a price of its own."""

    INPUT = "INPUT", _("Input tokens")
    CACHE_READ = "CACHE_READ", _("Input tokens read from the provider's cache")
    CACHE_WRITE = "CACHE_WRITE", _("Input tokens written to the provider's cache")
    OUTPUT = "OUTPUT", _("Output tokens")


class Purpose(models.TextChoices):
    """What a provider call was for."""

    ANSWER = "ANSWER", _("Answer")
    QUERY_EMBEDDING = "QUERY_EMBEDDING", _("Embedding of a question")
    DOCUMENT_EMBEDDING = "DOCUMENT_EMBEDDING", _("Embedding of documents")
    TITLE = "TITLE", _("Title")
    PING = "PING", _("Check by an operator")
    EVALUATION = "EVALUATION", _("Evaluation")


class Outcome(models.TextChoices):
    """How a provider call ended."""

    COMPLETED = "COMPLETED", _("Completed")
    CANCELLED = "CANCELLED", _("Stopped")
    FAILED = "FAILED", _("Failed")
    ESTIMATED = "ESTIMATED", _("Lost: usage estimated")


class Price(models.Model):
    """What one meter of one provider's model costs from a moment on, until a later row takes over."""

    class Source(models.TextChoices):
        SHIPPED = "SHIPPED", _("Shipped with Parley")
        IMPORT = "IMPORT", _("Price list")
        OPERATOR = "OPERATOR", _("Set by an operator")

    provider_code = models.SlugField(
        _("provider"), max_length=60, help_text=_("The provider's code, as on its own page.")
    )
    model_code = models.CharField(
        _("model"), max_length=120, help_text=_("The name the provider knows the model by.")
    )
    meter = models.CharField(
        _("meter"), max_length=12, choices=Meter.choices, help_text=_("What is counted.")
    )
    nanos_per_million_tokens = models.BigIntegerField(
        _("price"),
        help_text=_(
            "In nano-units (10⁻⁹ of the currency) per million tokens: 150000000 is 0.15 per million."
        ),
    )
    starts_at = models.DateTimeField(
        _("valid from"),
        default=timezone.now,
        help_text=_("Calls from this moment on cost this much."),
    )
    source = models.CharField(
        _("source"),
        max_length=10,
        choices=Source.choices,
        default=Source.OPERATOR,
        help_text=_("The import never overrides a later row set by an operator."),
    )

    objects = PriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = (
            models.CheckConstraint(
                condition=Q(nanos_per_million_tokens__gte=0), name="price_not_negative"
            ),
            models.UniqueConstraint(
                fields=("provider_code", "model_code", "meter", "starts_at"), name="price_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.provider_code}/{self.model_code} {self.meter}"


class Reservation(models.Model):
    """One provider call from before it is made: it owns the idempotency of (request, attempt).

    The call's usage record has this row's id and created_at, so the partitioned table needs no uniqueness.
    """

    class State(models.TextChoices):
        OPEN = "OPEN", _("Open")
        SETTLED = "SETTLED", _("Settled")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request_id = models.UUIDField(_("request"))
    attempt = models.PositiveSmallIntegerField(_("attempt"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    department = models.ForeignKey(Department, on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose.choices)
    provider_code = models.CharField(_("provider"), max_length=60)
    model_code = models.CharField(_("model"), max_length=120)
    max_nanos = models.BigIntegerField(_("most it can cost"))
    max_input_tokens = models.BigIntegerField(_("most input tokens"))
    max_output_tokens = models.BigIntegerField(_("most output tokens"))
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField(_("opened"))
    expires_at = models.DateTimeField(_("expires"))
    settled_at = models.DateTimeField(_("settled"), null=True)

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")
        constraints = (
            models.UniqueConstraint(fields=("request_id", "attempt"), name="reservation_once"),
            models.CheckConstraint(condition=Q(max_nanos__gte=0), name="reservation_not_negative"),
        )
        indexes = (
            models.Index(
                fields=("expires_at",), condition=Q(state="OPEN"), name="reservation_open_expiry"
            ),
        )

    def __str__(self) -> str:
        return f"{self.request_id}/{self.attempt}"


class UsageRecord(models.Model):
    """What one provider call used and cost; written once by `billing_settle`, in monthly partitions.

    The table is partitioned by created_at (its real key is (id, created_at)), and the migration makes it in SQL.
    Ids are unique because they are the reservation's.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField(_("at"))
    request_id = models.UUIDField(_("request"))
    attempt = models.PositiveSmallIntegerField(_("attempt"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    department = models.ForeignKey(
        Department, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose.choices)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    provider_code = models.CharField(_("provider"), max_length=60)
    model_code = models.CharField(_("model"), max_length=120)
    input_tokens = models.BigIntegerField(_("fresh input tokens"))
    cached_input_tokens = models.BigIntegerField(_("cached input tokens"))
    cache_write_tokens = models.BigIntegerField(_("cache write tokens"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    is_estimated = models.BooleanField(
        _("counted here"),
        help_text=_("The provider reported no usage: Parley counted the tokens itself."),
    )
    amount_nanos = models.BigIntegerField(_("amount"))
    price_ids = models.JSONField(
        _("price rows"), help_text=_("Price row by meter; absent: no price was set.")
    )
    elapsed_ms = models.IntegerField(_("duration"))

    objects = UsageRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        indexes = (
            models.Index(fields=("department", "created_at"), name="usage_department"),
            BrinIndex(fields=("created_at",), name="usage_created_brin"),
        )

    def __str__(self) -> str:
        return f"{self.request_id}/{self.attempt}"
