"""Dividing amounts: nothing is lost, nobody gets a nano more than their quota rounds to, and rules do what they say."""

from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.models import Department
from apps.billing.models import SharedCost
from apps.billing.statements.allocation import AllocationError, apportion, read_shares, spread

AMOUNTS = st.integers(min_value=-(10**18), max_value=10**18)
WEIGHTS = st.fractions(min_value=0, max_value=10**9, max_denominator=1000)
CODES = "abcdefgh"


def department(code: str) -> Department:
    return Department(id=UUID(int=ord(code)), code=code, name=code.upper())


DEPARTMENTS = [department(code) for code in CODES]


@settings(deadline=None)
@given(amount=AMOUNTS, weights=st.dictionaries(st.text(max_size=3), WEIGHTS, min_size=1))
def test_the_parts_add_up_and_each_is_its_quota_rounded_up_or_down(
    amount: int, weights: dict[str, Fraction]
) -> None:
    total = sum(weights.values())
    if total == 0:
        if amount:
            with pytest.raises(ValueError, match="nobody"):
                apportion(amount, weights)
        return
    parts = apportion(amount, weights)
    assert sum(parts.values()) == amount
    for key, part in parts.items():
        assert abs(part - amount * weights[key] / total) < 1
        assert weights[key] > 0 or part == 0


@settings(deadline=None)
@given(amount=AMOUNTS, weights=st.lists(WEIGHTS, min_size=1, max_size=8).filter(any))
def test_more_weight_never_gets_less_and_a_credit_is_divided_like_a_charge(
    amount: int, weights: list[Fraction]
) -> None:
    parts = apportion(abs(amount), dict(enumerate(weights)))
    by_weight = [parts[n] for n in sorted(parts, key=lambda n: (weights[n], -n))]
    assert by_weight == sorted(by_weight)
    mirrored = apportion(-abs(amount), dict(enumerate(weights)))
    assert mirrored == {key: -part for key, part in parts.items()}


def test_nanos_left_over_go_to_the_largest_remainders_then_to_the_earlier() -> None:
    assert apportion(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert apportion(10, {"a": 5, "b": 2, "c": 2}) == {"a": 6, "b": 2, "c": 2}
    assert apportion(11, {"a": 60, "b": 25, "c": 15}) == {"a": 6, "b": 3, "c": 2}


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        apportion(1, {"a": -1, "b": 2})


@st.composite
def months(draw: st.DrawFn) -> dict[str, Any]:
    """Shared costs of every kind over departments with any usage and adjustments."""
    sources = draw(st.lists(st.sampled_from(CODES[:3]), unique=True, max_size=2))
    costs = []
    for number in range(draw(st.integers(min_value=1, max_value=4))):
        source = sources.pop() if sources else None
        method = draw(st.sampled_from(SharedCost.Method.values))
        weights = draw(
            st.dictionaries(
                st.sampled_from(CODES[3:]),
                st.integers(1, 1000) | st.floats(0.001, 1000),
                min_size=1,
            )
        )
        costs.append(
            SharedCost(
                pk=number,
                name=f"cost {number}",
                method=method,
                shares=weights if method == SharedCost.Method.FIXED else {},
                source_department=department(source) if source else None,
                amount_nanos=None if source else draw(st.integers(0, 10**15)),
            )
        )
    usage = {one.pk: draw(st.integers(0, 10**15)) for one in DEPARTMENTS}
    adjusted = {one.pk: draw(st.integers(-(10**12), 10**12)) for one in DEPARTMENTS}
    own = {key: usage[key] + adjusted[key] for key in usage}
    return {"costs": costs, "usage_nanos": usage, "own_nanos": own}


@settings(deadline=None)
@given(month=months())
def test_all_departments_together_owe_what_was_used_and_the_shared_amounts(
    month: dict[str, Any],
) -> None:
    costs, own = month["costs"], month["own_nanos"]
    parts = spread(costs, departments=DEPARTMENTS, usage_nanos=month["usage_nanos"], own_nanos=own)
    assert sum(part.amount_nanos for part in parts) == sum(cost.amount_nanos or 0 for cost in costs)
    for cost in costs:
        mine = [part.amount_nanos for part in parts if part.cost is cost]
        assert sum(mine) == (cost.amount_nanos or 0)
        source_id = cost.source_department_id
        if source_id:
            # Nothing is left on the department whose cost was spread.
            left = sum(part.amount_nanos for part in parts if part.department_id == source_id)
            assert own[source_id] + left == 0


def parts_of(cost: SharedCost, **usage: int) -> dict[str, int]:
    found = spread(
        [cost],
        departments=DEPARTMENTS[:3],
        usage_nanos={department(code).pk: nanos for code, nanos in usage.items()},
        own_nanos={department(code).pk: nanos for code, nanos in usage.items()},
    )
    return {chr(part.department_id.int): part.amount_nanos for part in found}


def shared(method: str, amount: int | None = 100, **fields: Any) -> SharedCost:
    return SharedCost(pk=1, name="Platform", method=method, amount_nanos=amount, **fields)


def test_proportional_goes_by_what_each_used() -> None:
    assert parts_of(shared("PROPORTIONAL"), a=30, b=10) == {"a": 75, "b": 25}


def test_proportional_is_even_where_nobody_used_anything() -> None:
    assert parts_of(shared("PROPORTIONAL")) == {"a": 34, "b": 33, "c": 33}


def test_even_is_for_every_department_also_those_that_used_nothing() -> None:
    assert parts_of(shared("EVEN"), a=30) == {"a": 34, "b": 33, "c": 33}


def test_fixed_goes_by_the_shares_alone() -> None:
    assert parts_of(shared("FIXED", shares={"b": 0.1, "c": 0.3}), a=30) == {"b": 25, "c": 75}


def test_a_departments_own_cost_moves_to_those_that_used_something() -> None:
    cost = shared("PROPORTIONAL", None, source_department=department("c"))
    assert parts_of(cost, a=10, b=30, c=8) == {"a": 2, "b": 6, "c": -8}


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        (shared("FIXED", shares={"a": 1, "nobody": 1}), "nobody"),
        (shared("FIXED"), "at least one"),
        (
            shared("FIXED", None, shares={"a": 1}, source_department=department("a")),
            "can't take a share",
        ),
    ],
)
def test_a_rule_that_cant_be_followed_says_why(cost: SharedCost, says: str) -> None:
    with pytest.raises(AllocationError, match=says):
        parts_of(cost)


def test_a_department_is_spread_once() -> None:
    twice = [
        SharedCost(pk=n, name=str(n), method="EVEN", source_department=department("a"))
        for n in (1, 2)
    ]
    with pytest.raises(AllocationError, match="more than one"):
        spread(twice, departments=DEPARTMENTS, usage_nanos={}, own_nanos={})


def test_with_no_department_left_nothing_can_be_spread() -> None:
    with pytest.raises(AllocationError, match="no department"):
        spread([shared("EVEN")], departments=[], usage_nanos={}, own_nanos={})


@pytest.mark.parametrize(
    "shares",
    [
        None,
        [],
        {},
        {"a": 0},
        {"a": -1},
        {"a": True},
        {"a": "2"},
        {"a": float("inf")},
        {"a": float("nan")},
    ],
)
def test_shares_are_positive_numbers(shares: Any) -> None:
    with pytest.raises(AllocationError):
        read_shares(shares)
