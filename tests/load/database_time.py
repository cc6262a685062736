"""How long the database works for what is done, by its own clocks: planning and running, without the way there."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

# As pg_stat_statements has it: every statement that came from a client, of this database alone.
SUM = """
SELECT pg_backend_pid(), coalesce(sum(total_plan_time + total_exec_time), 0), coalesce(sum(calls), 0)
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query NOT LIKE '%pg_stat_statements%'
"""
NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class DatabaseTime:
    """The middle of some looks, in milliseconds, and the statements of one look.

    `elapsed` is by the clock on the server's wall, with whatever else the machine did meanwhile; `busy` is what its
    process was at work, which on a machine with nothing else to do is the same but for reading from disk.
    """

    busy: float
    elapsed: float
    statement_count: int


def watch() -> None:
    """Have the server count its time, planning too; it must have loaded pg_stat_statements as it began.

    Without parallel workers: a screen is for many people at once, and work that is spread is no less work.
    """
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        cursor.execute("SET pg_stat_statements.track_planning = on")
        cursor.execute("SET max_parallel_workers_per_gather = 0")


def database_time(work: Callable[[], object], *, looks: int) -> DatabaseTime:
    """Return what some work costs the server, which is on this machine, when it is done `looks` times."""
    times = []
    for _ in range(looks):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_statements_reset(), pg_backend_pid()")
            [_reset, pid] = cursor.fetchone()
        before = _busy_ms(pid)
        work()
        after = _busy_ms(pid)
        with connection.cursor() as cursor:
            cursor.execute(SUM)
            [still, elapsed, count] = cursor.fetchone()
        if still != pid:
            raise RuntimeError("the work had a connection of its own: nothing was measured")
        times.append((after - before, float(elapsed), int(count)))
    busy, elapsed, _count = (statistics.median(one) for one in zip(*times, strict=True))
    return DatabaseTime(busy, elapsed, times[-1][2])


def dearest(count: int = 3) -> list[tuple[float, str]]:
    """Return the statements that took longest since the last look began, in milliseconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT total_plan_time + total_exec_time, query FROM pg_stat_statements"
            " WHERE query NOT LIKE '%%pg_stat_statements%%' ORDER BY 1 DESC LIMIT %s",
            (count,),
        )
        return [(float(milliseconds), query) for milliseconds, query in cursor.fetchall()]


def _busy_ms(pid: int) -> float:
    """Return how long a process has had a processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / NANOS_PER_MS
