"""Prometheus objects of the cache; the flusher advances them in aggregate, never a request."""

from prometheus_client import Counter

from apps.caching.outcomes import Level
from apps.caching.sink import Cell

ACCESSES = Counter(
    "parley_cache_accesses", "Cached reads by the level that answered.", ["keyspace", "level"]
)
ACCESS_SECONDS = Counter(
    "parley_cache_access_seconds", "Time spent in cached reads.", ["keyspace", "level"]
)
SAVED_SECONDS = Counter(
    "parley_cache_saved_seconds", "Computing time that hits have saved.", ["keyspace"]
)
SAVED_NANOS = Counter(
    "parley_cache_saved_nanos", "Money that hits have saved, in nanos.", ["keyspace"]
)
DROPPED = Counter(
    "parley_cache_log_dropped",
    "Accesses not written: the buffer was full or the database was away.",
)


def observe(keyspace: str, level: Level, reads: Cell) -> None:
    """Add the reads of a batch that one level answered."""
    ACCESSES.labels(keyspace=keyspace, level=level.name).inc(reads.read_count)
    ACCESS_SECONDS.labels(keyspace=keyspace, level=level.name).inc(reads.elapsed_us / 1_000_000)
    # A counter never falls: a hit slower than computing saves nothing here; the figures show it as it is.
    SAVED_SECONDS.labels(keyspace=keyspace).inc(max(reads.saved_us, 0) / 1_000_000)
    SAVED_NANOS.labels(keyspace=keyspace).inc(max(reads.saved_nanos, 0))
