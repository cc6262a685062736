"""Every state a budget's counters pass through, in the order of the commits, and what must be true of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connection

from apps.billing.models import BudgetPeriod

# The clock of the helper and that of PostgreSQL are one, but not read in the same instruction.
CLOCK_SECONDS = 0.005

SERIAL_LOG = """
    CREATE TABLE race_log (number bigserial, at timestamptz, period_id bigint, spent bigint, reserved bigint);
    CREATE FUNCTION race_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO race_log (at, period_id, spent, reserved)
            VALUES (clock_timestamp(), NEW.id, NEW.spent_nanos, NEW.reserved_nanos);
        RETURN NULL;
    END $$;
    CREATE TRIGGER race_log AFTER UPDATE ON billing_budgetperiod FOR EACH ROW EXECUTE FUNCTION race_log();
"""
NO_SERIAL_LOG = """
    DROP TRIGGER race_log ON billing_budgetperiod; DROP FUNCTION race_log; DROP TABLE race_log;
"""


@dataclass(frozen=True)
class State:
    """What a budget's counters were from a moment on."""

    at: float
    spent: int
    reserved: int


@contextmanager
def serial_log() -> Iterator[None]:
    """Write down every state of every budget period, in the order in which they followed each other.

    Each is written while its transaction holds the period's row, so their numbers are in the order of the commits.
    """
    with connection.cursor() as cursor:
        cursor.execute(SERIAL_LOG)
        try:
            yield
        finally:
            cursor.execute(NO_SERIAL_LOG)


def states(period: BudgetPeriod) -> list[State]:
    """Return the logged states of a period, from nothing on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM at), spent, reserved FROM race_log WHERE period_id = %s ORDER BY number",
            (period.pk,),
        )
        return [
            State(0.0, 0, 0),
            *(State(float(at), spent, reserved) for at, spent, reserved in cursor),
        ]


def assert_transitions(history: Sequence[State], calls: Iterable[tuple[int, int]]) -> None:
    """Assert that each call (its maximum, its amount) was held once and freed once, and nothing else happened."""
    holds: Counter[int] = Counter()
    ends: Counter[tuple[int, int]] = Counter()
    for before, after in pairwise(history):
        if after.spent == before.spent and after.reserved > before.reserved:
            holds[after.reserved - before.reserved] += 1
        else:
            ends[before.reserved - after.reserved, after.spent - before.spent] += 1
    expected = Counter(calls)
    assert ends == expected
    assert holds == Counter(most for most, _amount in expected.elements())


def assert_justified(
    refused: Iterable[dict[str, Any]], history: Sequence[State], *, limit: int
) -> None:
    """Assert that each refusal tells a state that was true while it was asked, and had no room for the call."""
    when: dict[tuple[int, int], list[int]] = {}
    for index, state in enumerate(history):
        when.setdefault((state.spent, state.reserved), []).append(index)
    for call in refused:
        told_limit, spent, reserved = call["refused"]
        assert told_limit == limit
        assert spent + reserved + call["max"] > limit
        begun_at, ended_at = call["times"]
        assert any(
            history[index].at <= ended_at + CLOCK_SECONDS
            # The next state is committed before the one after it begins: till then this one is the newest.
            and (index + 2 >= len(history) or history[index + 2].at >= begun_at - CLOCK_SECONDS)
            for index in when[spent, reserved]
        ), call
