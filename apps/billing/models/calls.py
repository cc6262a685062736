"""The reservation that opens each provider call, and the usage record that closes it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import ApiKey, Department
from apps.billing.querysets import UsageRecordQuerySet
from apps.core.ids import uuid7


class Purpose(models.TextChoices):
    """What a provider call was for."""

    ANSWER = "ANSWER", _("Answer")
    QUERY_EMBEDDING = "QUERY_EMBEDDING", _("Embedding of a question")
    DOCUMENT_EMBEDDING = "DOCUMENT_EMBEDDING", _("Embedding of documents")
    TITLE = "TITLE", _("Title")
    JUDGE = "JUDGE", _("Judging of an answer")
    PING = "PING", _("Check by an operator")
    EVALUATION = "EVALUATION", _("Evaluation")


class Product(models.TextChoices):
    """What was used. A product key's code is none of these, and is its own name."""

    CHAT = "chat", _("Chat")
    DOCUMENTS = "documents", _("Documents")
    ADMIN = "admin", _("Administration")
    EVALUATION = "evaluation", _("Evaluation")

    @classmethod
    def name_of(cls, code: str) -> str:
        """Return a product's name as people read it; exports keep its code."""
        return str(cls(code).label) if code in cls.values else code


class Outcome(models.TextChoices):
    """How a provider call ended."""

    COMPLETED = "COMPLETED", _("Completed")
    CANCELLED = "CANCELLED", _("Stopped")
    FAILED = "FAILED", _("Failed")
    ESTIMATED = "ESTIMATED", _("Lost: usage estimated")


class Call(models.Model):
    """What names a provider call and says who pays for it and what it was for: its dimensions."""

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
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    product = models.CharField(_("product"), max_length=40, default=Product.CHAT.value)
    conversation_id = models.UUIDField(_("conversation"), null=True)
    tags = ArrayField(models.CharField(max_length=40), verbose_name=_("tags"), default=list)
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose.choices)
    provider_code = models.CharField(_("provider"), max_length=60)
    model_code = models.CharField(_("model"), max_length=120)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.request_id}/{self.attempt}"

    @property
    def product_name(self) -> str:
        """Return what was used, as people read it."""
        return Product.name_of(self.product)


class Reservation(Call):
    """One provider call from before it is made: it owns the idempotency of (request, attempt).

    The call's usage record has this row's id and created_at, so the partitioned table needs no uniqueness.
    `period_ids` are the budget periods that hold `max_nanos` for it until it ends.
    """

    class State(models.TextChoices):
        OPEN = "OPEN", _("Open")
        SETTLED = "SETTLED", _("Settled")
        VOID = "VOID", _("Void: never sent")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    max_nanos = models.BigIntegerField(_("most it can cost"))
    max_input_tokens = models.BigIntegerField(_("most input"))
    max_output_tokens = models.BigIntegerField(_("most output tokens"))
    input_meter = models.CharField(_("meter of the input"), max_length=12, default="INPUT")
    output_meter = models.CharField(_("meter of the output"), max_length=12, default="OUTPUT")
    period_ids = ArrayField(models.BigIntegerField(), verbose_name=_("budgets"), default=list)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.OPEN)
    is_rolled_up = models.BooleanField(_("in the totals"), default=False)
    created_at = models.DateTimeField(_("opened"))
    expires_at = models.DateTimeField(_("expires"))
    settled_at = models.DateTimeField(_("ended"), null=True)

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
            models.Index(
                fields=("id",),
                condition=Q(state="SETTLED", is_rolled_up=False),
                name="reservation_unrolled",
            ),
            models.Index(fields=("id",), condition=Q(state="VOID"), name="reservation_void"),
        )


class UsageRecord(Call):
    """What one provider call used and cost; written once by `billing_settle`, in monthly partitions.

    The table is partitioned by created_at (its real key is (id, created_at)), and the migration makes it in SQL.
    Ids are unique because they are the reservation's.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField(_("at"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    input_tokens = models.BigIntegerField(_("fresh input tokens"))
    cached_input_tokens = models.BigIntegerField(_("cached input tokens"))
    cache_write_tokens = models.BigIntegerField(_("cache write tokens"))
    output_tokens = models.BigIntegerField(_("output tokens"))
    embedding_tokens = models.BigIntegerField(_("embedded tokens"), default=0)
    batch_input_tokens = models.BigIntegerField(_("batch input tokens"), default=0)
    batch_output_tokens = models.BigIntegerField(_("batch output tokens"), default=0)
    audio_ms = models.BigIntegerField(_("milliseconds of audio"), default=0)
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
            models.Index(fields=("user", "created_at"), name="usage_user"),
            BrinIndex(fields=("created_at",), name="usage_created_brin"),
            # Few: a budget being made looks for them, while all calls wait.
            models.Index(
                fields=("created_at",), condition=Q(outcome="ESTIMATED"), name="usage_estimated"
            ),
        )
