"""What a difference of cost consists of: more calls, longer calls, or dearer models and prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True)
class ModelCost:
    """One model's calls, tokens and cost over some hours."""

    call_count: int
    token_count: int
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class Causes:
    """Parts of a difference in nanos; together they are the difference exactly."""

    volume: int
    tokens: int
    price_mix: int


def decompose(
    *,
    usual: Mapping[str, ModelCost],
    expected_nanos: int,
    actual: Mapping[str, ModelCost],
) -> Causes:
    """Return what makes `actual` differ from `expected_nanos` of calls as they usually are, by model.

    Additive log-mean Divisia index (Ang 2005, "The LMDI approach to decomposition analysis"): a model's cost is
    calls × tokens per call × (share of the tokens × price), and each factor's part is L(after, before) · ln(ratio)
    with the log-mean L. A model on one side only has L = 0: its cost is mix, all of it.
    """
    actual_nanos = sum(cost.amount_nanos for cost in actual.values())
    usual_nanos = sum(cost.amount_nanos for cost in usual.values())
    difference = actual_nanos - expected_nanos
    if usual_nanos <= 0 or expected_nanos <= 0 or actual_nanos <= 0:
        return Causes(volume=difference, tokens=0, price_mix=0)
    scale = expected_nanos / usual_nanos
    calls = _ratio(_calls(actual), scale * _calls(usual))
    tokens = _ratio(_tokens(actual), scale * _tokens(usual)) / calls
    weight = sum(
        _log_mean(cost.amount_nanos, scale * usual[model].amount_nanos)
        for model, cost in actual.items()
        if model in usual
    )
    volume, length = round(weight * log(calls)), round(weight * log(tokens))
    return Causes(volume=volume, tokens=length, price_mix=difference - volume - length)


def _calls(costs: Mapping[str, ModelCost]) -> int:
    return sum(cost.call_count for cost in costs.values())


def _tokens(costs: Mapping[str, ModelCost]) -> int:
    return sum(cost.token_count for cost in costs.values())


def _ratio(after: float, before: float) -> float:
    # Cost without a call or token (a correction of the count) says nothing of volume: leave it to the price.
    return after / before if after > 0 and before > 0 else 1.0


def _log_mean(after: float, before: float) -> float:
    if after <= 0 or before <= 0:
        return 0.0
    if abs(after - before) < 1e-9 * after:
        return after
    return (after - before) / log(after / before)
