"""Named sets of prices, usage records and ledger entries."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Case, F, OuterRef, Q, Subquery, Sum, TextField, Value, When
from django.db.models.functions import Cast, Concat

if TYPE_CHECKING:
    from apps.billing.models import LedgerEntry, Price, UsageRecord


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


class LedgerEntryQuerySet(models.QuerySet["LedgerEntry"]):
    """Sets of ledger entries."""

    def of_calls(self) -> "LedgerEntryQuerySet":
        """What calls cost: corrections are none of theirs. An index finds these by call."""
        kinds = self.model.Kind
        return self.filter(kind__in=(kinds.SETTLEMENT, kinds.EXCESS, kinds.TRUE_UP))

    def owed_nanos(self) -> int:
        """Return what the entries add to what their departments owe, as `LedgerEntry.effect_nanos` says of each."""
        own = [
            Concat(Value(f"{kind}:"), Cast("department_id", TextField()))
            for kind in ("department", "overdraft")
        ]
        is_charge, is_credit = Q(debit__in=own), Q(credit__in=own)
        effect = Case(
            When(is_charge & ~is_credit, then=F("amount_nanos")),
            When(is_credit & ~is_charge, then=-F("amount_nanos")),
            default=Value(0),
        )
        return int(self.aggregate(nanos=Sum(effect))["nanos"] or 0)
