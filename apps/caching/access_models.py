"""The tables of accesses: sampled reads by day, sums by minute, and what each process holds in memory.

The first two are partitioned by day, and the migration makes them in SQL.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.caching.outcomes import Level


class AccessLog(models.Model):
    """One cached read; a sample by key hash when there are more than the live cap. What-if replay feeds on it.

    Reads past the cache have no key: only the minutes count them.
    `id` only satisfies Django: nothing looks a row up by it, and no index bears it.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("at"))
    keyspace = models.CharField(_("keyspace"), max_length=80)
    key_hash = models.BigIntegerField(
        _("key hash"), help_text=_("The first eight bytes of the key's digest, signed.")
    )
    level = models.PositiveSmallIntegerField(_("level"), choices=Level.choices)
    elapsed_us = models.BigIntegerField(_("microseconds of the read"))
    cost_us = models.BigIntegerField(_("microseconds computing takes"))
    cost_nanos = models.BigIntegerField(_("cost of computing"))
    sampling_ratio = models.FloatField(
        _("sampling ratio"),
        help_text=_(
            "Share of keys that were kept when this row was: each row stands for 1 / ratio reads. A power of "
            "one half; the keys of a smaller share are among those of a larger one."
        ),
    )

    class Meta:
        verbose_name = _("cached read")
        verbose_name_plural = _("cached reads")
        indexes = (BrinIndex(fields=("at",), name="accesslog_at_brin", pages_per_range=16),)

    def __str__(self) -> str:
        return f"{self.keyspace} {self.get_level_display()}"


class AccessMinute(models.Model):
    """All reads of one keyspace, minute, level and latency bucket (`caching.sketch`): counted, never sampled."""

    pk = models.CompositePrimaryKey("keyspace", "minute", "level", "bucket")
    keyspace = models.CharField(_("keyspace"), max_length=80)
    minute = models.DateTimeField(_("minute"))
    level = models.PositiveSmallIntegerField(_("level"), choices=Level.choices)
    bucket = models.PositiveSmallIntegerField(_("latency bucket"))
    read_count = models.BigIntegerField(_("reads"))
    elapsed_us = models.BigIntegerField(_("microseconds of the reads"))
    saved_us = models.BigIntegerField(_("microseconds saved"))
    saved_nanos = models.BigIntegerField(_("amount saved"))

    class Meta:
        verbose_name = _("minute of cached reads")
        verbose_name_plural = _("minutes of cached reads")

    def __str__(self) -> str:
        return f"{self.keyspace} {self.minute:%Y-%m-%d %H:%M}"


class ProcessReport(models.Model):
    """What a process holds of one keyspace in its memory; the row without a keyspace tells of the process itself."""

    pk = models.CompositePrimaryKey("process", "keyspace")
    process = models.CharField(_("process"), max_length=120)
    keyspace = models.CharField(_("keyspace"), max_length=80)
    entries = models.BigIntegerField(_("entries"))
    evictions = models.BigIntegerField(_("evictions"))
    dropped_count = models.BigIntegerField(
        _("accesses not written"),
        help_text=_("Accesses lost because the buffer was full or the database was away."),
    )
    reported_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("report of a process")
        verbose_name_plural = _("reports of processes")

    def __str__(self) -> str:
        return f"{self.process} {self.keyspace}"
