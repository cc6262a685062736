"""What operators set of each keyspace, and the invalidations that still have to be repeated."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

_MONTH_SECONDS = 31 * 24 * 3600


class CachePolicy(models.Model):
    """How one keyspace is cached; an empty value means the default its app ships."""

    keyspace = models.CharField(
        _("keyspace"), max_length=80, unique=True, help_text=_("Names the family of cached values.")
    )
    is_enabled = models.BooleanField(
        _("on"), default=True, help_text=_("Off: every value is computed anew, nothing is kept.")
    )
    ttl_seconds = models.FloatField(
        _("lifetime"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(_MONTH_SECONDS)],
        help_text=_("Seconds a value is kept in Valkey, from 1 to 31 days. Empty: the default."),
    )
    l1_ttl_seconds = models.FloatField(
        _("lifetime in memory"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(3600)],
        help_text=_(
            "Seconds a value is kept in the memory of a process, from 0 (not at all) to 3600. "
            "Keyspaces declared without memory stay without. Empty: the default."
        ),
    )
    l1_share_ratio = models.FloatField(
        _("share of memory entries"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text=_("Share of the entries a process may hold, from 0 to 1. Empty: the default."),
    )
    jitter_ratio = models.FloatField(
        _("jitter"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(0.5)],
        help_text=_(
            "Each lifetime is shortened at random by up to this share, from 0 to 0.5, so that values "
            "filled together do not expire together. Empty: the default."
        ),
    )
    max_value_bytes = models.PositiveIntegerField(
        _("largest value"),
        null=True,
        blank=True,
        validators=[MinValueValidator(64), MaxValueValidator(64 * 1024 * 1024)],
        help_text=_("Bytes; a larger value is computed each time. Empty: the default."),
    )
    beta = models.FloatField(
        _("eagerness of early refresh"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(10)],
        help_text=_(
            "How early a value in use is refreshed in the background before it expires: 0 never, 1 as a rule, "
            "more means earlier. Empty: the default."
        ),
    )
    epoch = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("cache policy")
        verbose_name_plural = _("cache policies")

    def __str__(self) -> str:
        return self.keyspace


class InvalidationOutbox(models.Model):
    """An invalidation written by a trigger in the transaction of the change; the relay repeats it, then deletes the row."""

    id = models.BigAutoField(primary_key=True)
    keyspace = models.CharField(_("keyspace"), max_length=80)
    key = ArrayField(models.TextField(), verbose_name=_("key"))
    created_at = models.DateTimeField(_("at"), db_default=Now())

    class Meta:
        verbose_name = _("pending invalidation")
        verbose_name_plural = _("pending invalidations")
        indexes = (models.Index(fields=("created_at",), name="outbox_created"),)

    def __str__(self) -> str:
        return f"{self.keyspace} {self.key}"


# The tables of accesses are a module of their own.
from apps.caching.access_models import (  # noqa: E402
    AccessLog as AccessLog,
)
from apps.caching.access_models import (  # noqa: E402
    AccessMinute as AccessMinute,
)
from apps.caching.access_models import (  # noqa: E402
    ProcessReport as ProcessReport,
)
