"""Single calls as rows of a CSV file; amounts exact, in units of the currency."""

from collections.abc import Iterator, Sequence

from django.conf import settings
from django.utils.translation import gettext as _

from apps.billing.costs.drill_down import calls
from apps.billing.costs.types import CostFilter
from apps.billing.models import UsageRecord
from apps.core.money import in_units

HEADER = (
    "at", "purpose", "outcome", "person", "department", "provider", "model", "product", "api_key",
    "tags", "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens",
    "embedding_tokens", "amount", "currency", "call",
)  # fmt: skip
BATCH = 1000
# More than a person reads, and few enough for one answer.
MOST = 10_000


def rows(cost_filter: CostFilter) -> Iterator[Sequence[object]]:
    """Yield the calls of the filter, the newest first, at most `MOST`; a last line says if there are more."""
    before, count = None, 0
    while batch := calls(cost_filter, before=before, count=BATCH):
        if count == MOST:
            yield (_("There are more calls: choose a shorter time or one filter more."),)
            return
        yield from map(_row, batch)
        before, count = batch[-1].pk, count + len(batch)


def _row(record: UsageRecord) -> Sequence[object]:
    return (
        record.created_at,
        record.purpose,
        record.outcome,
        str(record.user or ""),
        record.department.code,
        record.provider_code,
        record.model_code,
        record.product,
        str(record.api_key or ""),
        " ".join(record.tags),
        record.input_tokens,
        record.cached_input_tokens,
        record.cache_write_tokens,
        record.output_tokens,
        record.embedding_tokens,
        in_units(record.amount_nanos),
        settings.BILLING_CURRENCY,
        str(record.pk),
    )
