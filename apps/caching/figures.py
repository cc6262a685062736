"""Reading the figures: hit rates, latencies and savings by keyspace and level, from the sums by minute, never the log.

A window reaches back to whole minutes: "5 minutes" are the running minute and the four before it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DateTimeField, F, Func, Q, QuerySet, Sum, Value
from django.utils import timezone

from apps.caching.access_models import AccessMinute
from apps.caching.outcomes import Level
from apps.caching.sketch import quantile

FIVE_MINUTES, HOUR, DAY, WEEK = (
    timedelta(minutes=5),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=7),
)
WINDOWS = {"five_minutes": FIVE_MINUTES, "hour": HOUR, "day": DAY}
# Span of a chart → width of its bins.
SPANS = {
    "hour": (HOUR, timedelta(minutes=1)),
    "day": (DAY, timedelta(minutes=10)),
    "week": (WEEK, timedelta(hours=1)),
}
_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.get_fixed_timezone(0))


@dataclass(slots=True)
class Reads:
    """Reads of a keyspace in a stretch of time, by level, and what the hits among them have saved."""

    counts: dict[Level, int] = field(default_factory=dict)
    saved_us: int = 0
    saved_nanos: int = 0

    @property
    def hit_count(self) -> int:
        """Reads answered by memory or Valkey."""
        return self.counts.get(Level.L1, 0) + self.counts.get(Level.L2, 0)

    @property
    def asked_count(self) -> int:
        """Reads that asked the cache; those past it, and old values after an error, are told apart."""
        return self.hit_count + self.counts.get(Level.MISS, 0) + self.counts.get(Level.STALE, 0)

    @property
    def bypass_count(self) -> int:
        """Reads that did not ask: policy off, inside of a transaction, or Valkey away."""
        return self.counts.get(Level.BYPASS, 0)

    @property
    def hit_ratio(self) -> float | None:
        """Share of the reads that asked the cache and got their value from it; None without such reads."""
        return self.hit_count / self.asked_count if self.asked_count else None

    def add(self, level: int, row: Mapping[str, Any], suffix: str = "") -> None:
        """Add what a query has summed up for one level."""
        count = row[f"reads{suffix}"] or 0
        if count:
            self.counts[Level(level)] = self.counts.get(Level(level), 0) + count
        self.saved_us += row[f"saved_us_sum{suffix}"] or 0
        self.saved_nanos += row[f"saved_nanos_sum{suffix}"] or 0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the reads took that one level answered; within 5 % (`sketch`). None: there were none."""

    level: Level
    read_count: int
    p50_us: float | None
    p95_us: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """The reads of one bin of a chart, which begins at `at`."""

    at: datetime
    reads: Reads


def overview(*, now: datetime) -> dict[str, dict[str, Reads]]:
    """Return keyspace → window → reads, for all keyspaces read in the last day; one query."""
    found: defaultdict[str, dict[str, Reads]] = defaultdict(
        lambda: {window: Reads() for window in WINDOWS}
    )
    for row in window_sums(now=now):
        for window in WINDOWS:
            found[row["keyspace"]][window].add(row["level"], row, f"_{window}")
    return dict(found)


def window_sums(*, now: datetime) -> QuerySet[AccessMinute, dict[str, Any]]:
    """Return keyspace and level with their sums over each window."""
    sums: dict[str, Any] = {}
    for window, span in WINDOWS.items():
        within = Q(minute__gt=now - span)
        sums[f"reads_{window}"] = Sum("read_count", filter=within)
        sums[f"saved_us_sum_{window}"] = Sum("saved_us", filter=within)
        sums[f"saved_nanos_sum_{window}"] = Sum("saved_nanos", filter=within)
    return (
        AccessMinute.objects.filter(minute__gt=now - DAY)
        .values("keyspace", "level")
        .annotate(**sums)
        .order_by("keyspace", "level")
    )


def latencies(name: str, *, now: datetime, span: timedelta = DAY) -> list[Latency]:
    """Return the latencies of a keyspace's reads, of every level; one query."""
    buckets: defaultdict[Level, dict[int, int]] = defaultdict(dict)
    for level, bucket, count in bucket_sums(name, now=now, span=span):
        buckets[Level(level)][bucket] = count
    return [
        Latency(
            level=level,
            read_count=sum(buckets[level].values()),
            p50_us=quantile(buckets[level], 0.5),
            p95_us=quantile(buckets[level], 0.95),
        )
        for level in Level
    ]


def bucket_sums(
    name: str, *, now: datetime, span: timedelta
) -> QuerySet[AccessMinute, tuple[int, int, int]]:
    """Return level, latency bucket and number of reads of a keyspace."""
    return (
        AccessMinute.objects.filter(keyspace=name, minute__gt=now - span)
        .values("level", "bucket")
        .annotate(reads=Sum("read_count"))
        .values_list("level", "bucket", "reads")
    )


def series(name: str, *, now: datetime, span: str) -> list[Point]:
    """Return a keyspace's reads over "hour", "day" or "week" in equal bins, empty ones included; one query."""
    length, width = SPANS[span]
    bins_back = length // width
    last = _EPOCH + (now - _EPOCH) // width * width
    points = {last - width * back: Reads() for back in range(bins_back - 1, -1, -1)}
    for row in bin_sums(name, since=min(points), width=width):
        if row["bin"] in points:
            points[row["bin"]].add(row["level"], row)
    return [Point(at=at, reads=reads) for at, reads in points.items()]


def bin_sums(
    name: str, *, since: datetime, width: timedelta
) -> QuerySet[AccessMinute, dict[str, Any]]:
    """Return bin and level with their sums."""
    start: Func = Func(
        Value(width),
        F("minute"),
        Value(_EPOCH),
        function="date_bin",
        output_field=DateTimeField(),
    )
    return (
        AccessMinute.objects.filter(keyspace=name, minute__gte=since)
        .annotate(bin=start)
        .values("bin", "level")
        .annotate(
            reads=Sum("read_count"),
            saved_us_sum=Sum("saved_us"),
            saved_nanos_sum=Sum("saved_nanos"),
        )
    )


def total(parts: Sequence[Reads]) -> Reads:
    """Return the reads of several keyspaces together."""
    together = Reads()
    for part in parts:
        for level, count in part.counts.items():
            together.counts[level] = together.counts.get(level, 0) + count
        together.saved_us += part.saved_us
        together.saved_nanos += part.saved_nanos
    return together
