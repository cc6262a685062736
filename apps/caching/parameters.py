"""What operators tune of the access log."""

from apps.tuning.registry import Parameter, register

L1_ENTRIES = Parameter(
    name="caching.l1_entries",
    default=20_000,
    minimum=0,
    maximum=10_000_000,
    unit="entries a process",
    help_text="How many cached values one process may hold in its memory; each keyspace has its share of them. "
    "0: no values in memory.",
    moves="memory of each process",
)
ROWS_PER_SECOND = Parameter(
    name="caching.access_log_rows_per_second",
    default=200,
    minimum=1,
    maximum=10_000,
    unit="rows a second and process",
    help_text="Cached reads a process writes to the access log; above it, whole keys are left out, chosen by their "
    "hash. Hit rates and savings count every read all the same.",
    moves="size of the access log",
)
LOG_DAYS = Parameter(
    name="caching.access_log_days",
    default=7,
    minimum=1,
    maximum=90,
    unit="days",
    help_text="How many days of the access log are kept, today included; older days are dropped whole, within the "
    "hour.",
    moves="size of the access log",
)
MINUTE_DAYS = Parameter(
    name="caching.figures_days",
    default=8,
    minimum=2,
    maximum=400,
    unit="days",
    help_text="How many days of hit rates, latencies and savings by minute are kept, today included; older days are "
    "dropped whole, within the hour.",
    moves="size of the cache figures",
)

register(L1_ENTRIES, ROWS_PER_SECOND, LOG_DAYS, MINUTE_DAYS)
