"""How an amount is divided so that no nano is lost, and how a shared cost falls on departments; no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, TypeVar
from uuid import UUID

from django.utils.translation import gettext as _

from apps.accounts.models import Department
from apps.billing.errors import BillingError
from apps.billing.models import SharedCost

Key = TypeVar("Key")


class AllocationError(BillingError):
    """A shared cost can't be spread as its rule says; the text says what to change."""


@dataclass(frozen=True, slots=True)
class SharedPart:
    """What one department gets of one shared cost; negative for the department whose cost is spread."""

    cost: SharedCost
    department_id: UUID
    cost_nanos: int
    share: Fraction
    amount_nanos: int


def apportion(amount_nanos: int, weights: Mapping[Key, Fraction | int]) -> dict[Key, int]:
    """Return `amount_nanos` divided by weight, exact to the nano.

    Largest remainder (Hamilton): each gets its quota rounded towards zero, and the nanos left go, one each, to the
    largest remainders; where they are equal, to the earlier key. A negative amount is divided like its opposite.

    Raises:
        ValueError: a weight is negative, or none is above zero though there is something to divide.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("weights are not negative")
    # Whole numbers in the same proportion.
    scale = lcm(*(weight.denominator for weight in weights.values()))
    whole = [weight.numerator * (scale // weight.denominator) for weight in weights.values()]
    if not any(whole):
        if amount_nanos:
            raise ValueError("nobody has a weight above zero")
        return dict.fromkeys(weights, 0)
    sign = -1 if amount_nanos < 0 else 1
    parts = largest_remainder(abs(amount_nanos), whole)
    return {key: sign * part for key, part in zip(weights, parts, strict=True)}


def largest_remainder(amount: int, weights: Sequence[int]) -> list[int]:
    """Return an amount divided by weights, neither negative and some weight above zero, as `apportion` does."""
    total = sum(weights)
    if len(weights) == 2:
        # As below, in short: most calls have two meters, and their remainders add up to the whole or to nothing.
        part, rest = divmod(amount * weights[0], total)
        part += 2 * rest >= total
        return [part, amount - part]
    quotas = [divmod(amount * weight, total) for weight in weights]
    parts = [part for part, _rest in quotas]
    if left := amount - sum(parts):
        # The sort is stable, so equal remainders keep their order.
        for place in sorted(range(len(parts)), key=lambda one: -quotas[one][1])[:left]:
            parts[place] += 1
    return parts


def spread(
    costs: Iterable[SharedCost],
    *,
    departments: Sequence[Department],
    usage_nanos: Mapping[UUID, int],
    own_nanos: Mapping[UUID, int],
) -> list[SharedPart]:
    """Return every department's part of each shared cost.

    `usage_nanos` are what the departments' calls cost, the measure of PROPORTIONAL; `own_nanos` what they owe before
    anything is spread (usage and adjustments). A department whose cost is spread takes no part in others' by
    PROPORTIONAL or EVEN, and where nobody used anything PROPORTIONAL is EVEN. The parts of an amount add up to it;
    those of a department's cost, with its own negative one, to 0.

    Raises:
        AllocationError: a rule names no department that could pay.
    """
    chosen = sorted(costs, key=lambda cost: (cost.name, cost.pk))
    sources = [cost.source_department_id for cost in chosen if cost.source_department_id]
    for cost in chosen:
        source_id = cost.source_department_id
        if source_id and sources.count(source_id) > 1:
            raise AllocationError(
                _("%(department)s's cost is spread by more than one shared cost: end all but one.")
                % {"department": cost.source_department}
            )
    receivers = [one for one in departments if one.pk not in sources]
    parts = []
    for cost in chosen:
        weights = _weights(cost, departments, receivers, usage_nanos)
        parts += _parts(cost, weights, own_nanos)
    return parts


def _parts(
    cost: SharedCost, weights: Mapping[UUID, Fraction], own_nanos: Mapping[UUID, int]
) -> list[SharedPart]:
    source_id = cost.source_department_id
    cost_nanos = own_nanos.get(source_id, 0) if source_id else cost.amount_nanos or 0
    total = sum(weights.values(), Fraction(0))
    parts = [
        SharedPart(cost, department_id, cost_nanos, weights[department_id] / total, amount)
        for department_id, amount in apportion(cost_nanos, weights).items()
        if amount
    ]
    if source_id and cost_nanos:
        parts.append(SharedPart(cost, source_id, cost_nanos, Fraction(-1), -cost_nanos))
    return parts


def _weights(
    cost: SharedCost,
    departments: Sequence[Department],
    receivers: Sequence[Department],
    usage_nanos: Mapping[UUID, int],
) -> dict[UUID, Fraction]:
    """Return the weight of each department that pays, in order of the departments."""
    if cost.method == SharedCost.Method.FIXED:
        return _fixed_weights(cost, departments)
    if not receivers:
        raise AllocationError(
            _("%(cost)s: there is no department to spread it over.") % {"cost": cost}
        )
    used = {one.pk: Fraction(usage_nanos.get(one.pk, 0)) for one in receivers}
    if cost.method == SharedCost.Method.PROPORTIONAL and any(used.values()):
        return {key: weight for key, weight in used.items() if weight}
    return dict.fromkeys(used, Fraction(1))


def _fixed_weights(cost: SharedCost, departments: Sequence[Department]) -> dict[UUID, Fraction]:
    shares = read_shares(cost.shares)
    by_code = {one.code: one.pk for one in departments}
    unknown = sorted(set(shares) - set(by_code))
    if unknown:
        raise AllocationError(
            _("%(cost)s: its shares name no department of ours: %(codes)s.")
            % {"cost": cost, "codes": ", ".join(unknown)}
        )
    weights = {by_code[code]: shares[code] for code in sorted(shares)}
    if cost.source_department_id in weights:
        raise AllocationError(
            _("%(cost)s: the department whose cost is spread can't take a share of it.")
            % {"cost": cost}
        )
    return weights


def read_shares(shares: Any) -> dict[str, Fraction]:
    """Return fixed shares, as JSON holds them, as weights by department code.

    Raises:
        AllocationError: they are no object of positive numbers, or empty.
    """
    if not isinstance(shares, dict) or not shares:
        raise AllocationError(_('Name at least one department and its weight, like {"sales": 2}.'))
    weights = {}
    for code, weight in shares.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise AllocationError(_("The weight of %(code)s is not a number.") % {"code": code})
        # Not the binary fraction behind 0.1, but 0.1. Infinity and NaN, which JSON has not but Python reads, are none.
        if weight <= 0 or weight != weight or weight == float("inf"):
            raise AllocationError(
                _("The weight of %(code)s is not a number above 0.") % {"code": code}
            )
        weights[code] = Fraction(str(weight))
    return weights
