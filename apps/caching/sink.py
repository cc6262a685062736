"""Writing accesses to PostgreSQL: sampled rows by COPY, sums by one upsert, all in one short transaction."""

import os
import socket
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from django.db import connection, transaction

from apps.caching.local import L1Figures

# keyspace, digest, level, time.time(), microseconds of the access, microseconds and nanos that computing took
Access: TypeAlias = tuple[str, str | None, int, float, float, float, int]
# at, keyspace, key hash, level, microseconds, cost in microseconds and nanos, sampling ratio
LogRow: TypeAlias = tuple[datetime, str, int, int, int, int, int, float]
# keyspace, minute since the epoch, level, latency bucket
CellKey: TypeAlias = tuple[str, int, int, int]


@dataclass(slots=True)
class Cell:
    """The reads of one keyspace, minute, level and latency bucket."""

    read_count: int = 0
    elapsed_us: float = 0.0
    saved_us: float = 0.0
    saved_nanos: int = 0


Cells: TypeAlias = dict[CellKey, Cell]

# A log whose last second is lost with the machine is worth the disk syncs it does not wait for; and a lock that is
# not to be had, as when a day's partition is dropped, is waited for outside any request, but not for ever.
PREPARE = "SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '5s'"
COPY = """
COPY caching_accesslog (at, keyspace, key_hash, level, elapsed_us, cost_us, cost_nanos, sampling_ratio) FROM STDIN
"""
ADD = """
INSERT INTO caching_accessminute AS kept
    (keyspace, minute, level, bucket, read_count, elapsed_us, saved_us, saved_nanos)
SELECT keyspace, to_timestamp(minute * 60), level, bucket, read_count, elapsed_us, saved_us, saved_nanos
FROM unnest(%s::text[], %s::bigint[], %s::smallint[], %s::smallint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS one (keyspace, minute, level, bucket, read_count, elapsed_us, saved_us, saved_nanos)
ON CONFLICT (keyspace, minute, level, bucket) DO UPDATE SET
    read_count = kept.read_count + excluded.read_count,
    elapsed_us = kept.elapsed_us + excluded.elapsed_us,
    saved_us = kept.saved_us + excluded.saved_us,
    saved_nanos = kept.saved_nanos + excluded.saved_nanos
"""
REPORT = """
INSERT INTO caching_processreport (process, keyspace, entries, evictions, dropped_count, reported_at)
SELECT %s, keyspace, entries, evictions, dropped_count, now()
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS one (keyspace, entries, evictions, dropped_count)
ON CONFLICT (process, keyspace) DO UPDATE SET
    entries = excluded.entries,
    evictions = excluded.evictions,
    dropped_count = excluded.dropped_count,
    reported_at = excluded.reported_at
"""


def process_name() -> str:
    """Return a name for a process that no other has, even one with the same number later."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def write(
    *,
    process: str,
    rows: Collection[LogRow],
    cells: Cells,
    memories: Mapping[str, L1Figures] | None,
    dropped_count: int,
) -> None:
    """Write all of it or nothing; `memories` is None when the process has nothing new to report.

    Raises:
        django.db.Error: the database is away or did not take it.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PREPARE)
        if rows:
            with connection.wrap_database_errors, cursor.copy(COPY) as copy:
                for row in rows:
                    copy.write_row(row)
        if cells:
            cursor.execute(ADD, _columns(cells))
        if memories is not None:
            cursor.execute(REPORT, _report(process, memories, dropped_count))


def log_row(access: Access, key_hash: int, sampling_ratio: float) -> LogRow:
    """Return an access as a row; `key_hash` is unsigned, PostgreSQL's bigint is not."""
    keyspace, _digest, level, at, elapsed_us, cost_us, cost_nanos = access
    signed = key_hash - (1 << 64) if key_hash >> 63 else key_hash
    moment = datetime.fromtimestamp(at, UTC)
    costs = (round(elapsed_us), round(cost_us), cost_nanos)
    return (moment, keyspace, signed, level, *costs, sampling_ratio)


def _columns(cells: Cells) -> list[list[Any]]:
    # In one order in all processes: two that add to the same minutes wait for each other, but never in a circle.
    sums = [
        (*key, one.read_count, round(one.elapsed_us), round(one.saved_us), one.saved_nanos)
        for key, one in sorted(cells.items())
    ]
    return [list(column) for column in zip(*sums, strict=True)]


def _report(process: str, memories: Mapping[str, L1Figures], dropped_count: int) -> list[Any]:
    reports = [("", 0, 0, dropped_count)]
    reports += [(name, one.entries, one.evictions, 0) for name, one in sorted(memories.items())]
    return [process, *(list(column) for column in zip(*reports, strict=True))]
