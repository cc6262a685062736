"""What the money calls must do, in the fewest words: everything is worked out anew from the list of calls."""

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Berlin")
THRIFT = {"REFUSE": 0, "CHEAPER_MODEL": 1, "CACHED_ONLY": 2}


@dataclass
class Call:
    who: tuple[Any, Any, Any]  # department, person, key
    at: datetime
    expires_at: datetime
    most: tuple[int, int]
    state: str = "OPEN"  # or SETTLED, ESTIMATED (the reaper's, to be put right once), VOID
    used: tuple[int, int] = (0, 0)


@dataclass
class Budget:
    who: tuple[Any, Any, Any]  # None: any
    period: str
    limit: int
    soft: int | None
    at_limit: str
    on_since: datetime | None
    more: list[tuple[int, datetime, datetime]] = field(default_factory=list)

    def covers(self, call: Call) -> bool:
        return all(mine in (None, theirs) for mine, theirs in zip(self.who, call.who, strict=True))

    def period_of(self, at: datetime) -> tuple[int, ...]:
        day = at.astimezone(ZONE).timetuple()[:3]
        return {"DAY": day, "MONTH": day[:2], "TOTAL": ()}[self.period]


class Reference:
    """Calls, budgets, and prices as (from when, input, output) in nanos per million tokens."""

    def __init__(self) -> None:
        self.calls: dict[Any, Call] = {}
        self.budgets: dict[Any, Budget] = {}
        self.prices: list[tuple[datetime, int, int]] = []

    def cost(self, at: datetime, tokens: tuple[int, int]) -> int:
        _since, fresh, output = max(price for price in self.prices if price[0] <= at)
        return round(Fraction(tokens[0] * fresh + tokens[1] * output, 10**6))

    def figures(self, budget: Budget, at: datetime) -> tuple[int, int]:
        """Return what is spent and reserved in the budget's period of this moment."""
        spent = reserved = 0
        for call in self.calls.values():
            if budget.covers(call) and budget.period_of(call.at) == budget.period_of(at):
                spent += self.cost(call.at, call.used)
                reserved += self.cost(call.at, call.most) if call.state == "OPEN" else 0
        return spent, reserved

    def limit(self, budget: Budget, at: datetime, thrift: int) -> int:
        is_soft = budget.soft is not None and thrift < THRIFT[budget.at_limit]
        more = sum(amount for amount, since, until in budget.more if since <= at < until)
        return (budget.soft if is_soft else budget.limit) + more  # type: ignore[operator]

    def refusing(self, call: Call, thrift: int) -> dict[Any, tuple[int, int, int]]:
        """Return the budgets without room for the call: limit, spent, reserved."""
        refusing, most = {}, self.cost(call.at, call.most)
        for name, budget in self.budgets.items():
            told = self.limit(budget, call.at, thrift), *self.figures(budget, call.at)
            if budget.covers(call) and budget.on_since and most and sum(told[1:]) + most > told[0]:
                refusing[name] = told
        return refusing

    def settle(self, call: Call, used: tuple[int, int], *, is_reaper: bool = False) -> None:
        if call.state == "OPEN" or (call.state == "ESTIMATED" and not is_reaper):
            was_open = call.state == "OPEN"
            call.state, call.used = "ESTIMATED" if was_open and is_reaper else "SETTLED", used
