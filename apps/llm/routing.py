"""Which model serves a use: by its routes, or the cheapest of them where a budget asks for that."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from django.utils.translation import gettext as _

from apps.billing import price_book
from apps.billing.models import Meter
from apps.caching import store
from apps.llm.cache import ROUTE
from apps.llm.errors import NoModelError
from apps.llm.models import LLMModel, Route
from apps.llm.types import Choice, RoutedModel


def choose(use: Route.Use) -> Choice:
    """Return the model that serves this use: the enabled route of the lowest priority number, from process memory.

    Raises:
        NoModelError: none is on.
    """
    routed = store.get_or_compute(ROUTE, (str(use),), partial(_routed, use))
    return replace(routed.choice, reason=_reason(use, is_first=routed.is_first))


def _routed(use: Route.Use) -> RoutedModel:
    for position, route in enumerate(_routes(use)):
        if route.is_usable:
            return RoutedModel(as_choice(route.llm_model, reason=""), is_first=position == 0)
    raise NoModelError(_("No model is set up and on for: %(use)s.") % {"use": Route.Use(use).label})


def _routes(use: Route.Use) -> Iterator[Route]:
    yield from (
        Route.objects.filter(use=use).select_related("llm_model__provider").order_by("priority")
    )


def _reason(use: Route.Use, *, is_first: bool) -> str:
    # Not kept with the route: it is in the language of who asks.
    label = str(Route.Use(use).label).lower()
    if is_first:
        return _("Default route for %(use)s") % {"use": label}
    return _("Next route for %(use)s: those before it are off") % {"use": label}


def as_choice(llm_model: LLMModel, *, reason: str) -> Choice:
    """Return all that a call of this model needs."""
    provider = llm_model.provider
    return Choice(
        llm_model_id=llm_model.pk,
        provider_code=provider.code,
        provider_name=provider.name,
        base_url=provider.base_url,
        secret=provider.secret,
        connect_timeout_seconds=provider.connect_timeout_seconds,
        read_timeout_seconds=provider.read_timeout_seconds,
        model_code=llm_model.code,
        model_name=llm_model.name,
        grounding=llm_model.grounding,
        context_tokens=llm_model.context_tokens,
        max_output_tokens=llm_model.max_output_tokens,
        dimensions=llm_model.dimensions,
        reason=reason,
    )


def cheapest(
    use: Route.Use, *, chosen: Choice, max_input_tokens: int, max_output_tokens: int
) -> Choice:
    """Return the cheapest model routed for this use that can take the call: the chosen one, where none is cheaper.

    Cheap is what a token of input and one of output cost together now.
    """
    best, best_price = chosen, _price_of(chosen)
    for route in _routes(use):
        if not route.is_usable:
            continue
        other = as_choice(route.llm_model, reason="")
        needed = max_input_tokens + min(max_output_tokens, other.max_output_tokens)
        price = _price_of(other)
        if needed <= other.context_tokens and price < best_price:
            best, best_price = other, price
    return best


def _price_of(choice: Choice) -> int:
    prices = dict(
        price_book.in_force(provider_code=choice.provider_code, model_code=choice.model_code)
    )
    return prices.get(Meter.INPUT, 0) + prices.get(Meter.OUTPUT, 0)
