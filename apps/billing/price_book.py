"""The price book: what each meter of a model costs now, through the cache. Calls are charged from the rows themselves."""

from functools import partial

from django.utils import timezone

from apps.billing.cache import PRICE_BOOK
from apps.billing.models import Price
from apps.caching import store
from apps.caching.signals import invalidate_with

Prices = tuple[tuple[str, int], ...]


def in_force(*, provider_code: str, model_code: str) -> Prices:
    """Return (meter, nanos per million tokens) of each meter that has a price now; a new row shows within seconds."""
    key = (provider_code, model_code)
    return store.get_or_compute(PRICE_BOOK, key, partial(_in_force, provider_code, model_code))


def _in_force(provider_code: str, model_code: str) -> Prices:
    prices = Price.objects.of_model(provider_code=provider_code, model_code=model_code)
    return tuple(
        (price.meter, price.nanos_per_million_tokens) for price in prices.effective(timezone.now())
    )


def invalidate_with_changes() -> None:
    """Have saved prices invalidate their page of the book; called once, from `ready()`."""
    invalidate_with(Price, lambda price: [(PRICE_BOOK, (price.provider_code, price.model_code))])
