"""Named sets of prices and usage records."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Count, F, OuterRef, Subquery, Sum

if TYPE_CHECKING:
    from apps.billing.models import Price, UsageRecord


class PriceQuerySet(models.QuerySet["Price"]):
    """Sets of price rows."""

    def effective(self, at: datetime) -> "PriceQuerySet":
        """The one row of each provider, model and meter that is in force at this moment."""
        meters = ("provider_code", "model_code", "meter")
        return self.filter(starts_at__lte=at).order_by(*meters, "-starts_at").distinct(*meters)

    def of_model(self, *, provider_code: str, model_code: str) -> "PriceQuerySet":
        """All rows of one model."""
        return self.filter(provider_code=provider_code, model_code=model_code)

    def with_ends(self) -> "PriceQuerySet":
        """With `ends_at`, the moment from which a later row of the same meter counts; None: there is none yet."""
        keys = ("provider_code", "model_code", "meter")
        later = (
            self.model._default_manager.filter(
                starts_at__gt=OuterRef("starts_at"), **{key: OuterRef(key) for key in keys}
            )
            .order_by("starts_at")
            .values("starts_at")[:1]
        )
        return self.annotate(ends_at=Subquery(later))


class UsageRecordQuerySet(models.QuerySet["UsageRecord"]):
    """Sets of usage records; a span of time is what lets PostgreSQL skip the other months."""

    def between(self, starts_at: datetime, ends_at: datetime) -> "UsageRecordQuerySet":
        """Records of calls opened from the first moment up to, without, the second."""
        return self.filter(created_at__gte=starts_at, created_at__lt=ends_at)

    def totals_by(self, *fields: str) -> models.QuerySet["UsageRecord", dict[str, Any]]:
        """Calls, tokens and nanos summed by these fields, the dearest first."""
        totals: models.QuerySet[UsageRecord, dict[str, Any]] = (
            self.values(*fields)
            .annotate(
                call_count=Count("id"),
                fresh_input=Sum("input_tokens"),
                cached_input=Sum("cached_input_tokens"),
                cache_write=Sum("cache_write_tokens"),
                output=Sum("output_tokens"),
                nanos=Sum("amount_nanos"),
            )
            .order_by(F("nanos").desc(), *fields)
        )
        return totals
