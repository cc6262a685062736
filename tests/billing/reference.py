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

    def period_of(self, at: datetime) -> tuple[int, ...]:
        day = at.astimezone(ZONE).timetuple()[:3]
        return {"DAY": day, "MONTH": day[:2], "TOTAL": ()}[self.period]

    def counts(self, call: Call, at: datetime) -> bool:
        is_ours = all(
            mine in (None, theirs) for mine, theirs in zip(self.who, call.who, strict=True)
        )
        return is_ours and self.period_of(call.at) == self.period_of(at)

    def limit_at(self, at: datetime, thrift: int) -> int:
        is_hard = self.soft is None or thrift >= THRIFT[self.at_limit]
        more = sum(amount for amount, since, until in self.more if since <= at < until)
        return (self.limit if is_hard else self.soft) + more  # type: ignore[operator]  # not None


@dataclass
class Reference:
    calls: dict[Any, Call] = field(default_factory=dict)
    budgets: dict[Any, Budget] = field(default_factory=dict)
    # From when, and nanos per million input and output tokens.
    prices: list[tuple[datetime, int, int]] = field(default_factory=list)

    def cost(self, at: datetime, tokens: tuple[int, int]) -> int:
        _since, fresh, output = max(price for price in self.prices if price[0] <= at)
        return round(Fraction(tokens[0] * fresh + tokens[1] * output, 10**6))

    def figures(self, budget: Budget, at: datetime) -> tuple[int, int]:
        counted = [call for call in self.calls.values() if budget.counts(call, at)]
        spent = sum(self.cost(call.at, call.used) for call in counted)
        return spent, sum(self.cost(one.at, one.most) for one in counted if one.state == "OPEN")

    def refusing(self, call: Call, thrift: int) -> dict[Any, tuple[int, int, int]]:
        refusing, most = {}, self.cost(call.at, call.most)
        for name, budget in self.budgets.items():
            limit, (spent, held) = budget.limit_at(call.at, thrift), self.figures(budget, call.at)
            if (
                most
                and budget.on_since
                and budget.counts(call, call.at)
                and spent + held + most > limit
            ):
                refusing[name] = limit, spent, held
        return refusing

    def settle(self, call: Call, used: tuple[int, int], *, is_reaper: bool = False) -> None:
        if call.state == "OPEN" or (call.state == "ESTIMATED" and not is_reaper):
            call.state, call.used = "ESTIMATED" if is_reaper else "SETTLED", used
