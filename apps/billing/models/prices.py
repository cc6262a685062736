"""What each meter of a provider's model costs, and from when; rows are only ever added."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.billing.querysets import PriceQuerySet


class Meter(models.TextChoices):
    """What a provider counts, each at a price of its own; all in tokens but audio, which is in milliseconds."""

    INPUT = "INPUT", _("Input tokens")
    CACHE_READ = "CACHE_READ", _("Input tokens read from the provider's cache")
    CACHE_WRITE = "CACHE_WRITE", _("Input tokens written to the provider's cache")
    OUTPUT = "OUTPUT", _("Output tokens")
    EMBEDDING = "EMBEDDING", _("Embedded tokens")
    BATCH_INPUT = "BATCH_INPUT", _("Input tokens of batches that may wait")
    BATCH_OUTPUT = "BATCH_OUTPUT", _("Output tokens of batches that may wait")
    AUDIO = "AUDIO", _("Milliseconds of audio")


class Price(models.Model):
    """What one meter of one provider's model costs from a moment on, until a later row takes over.

    The database refuses to change a row, and to delete one that is in force: calls were charged by it.
    """

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
            "In nano-units (10⁻⁹ of the currency) per million tokens (audio: milliseconds): 150000000 is 0.15 per million."
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
