"""Prometheus objects of what no library measures."""

from prometheus_client import Histogram

STAGE_SECONDS = Histogram(
    "parley_stage_seconds",
    "Time of one stage of a request or task.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


def observe_stage(name: str, elapsed_ms: float) -> None:
    """Take a stage from `core.stages` into the histogram."""
    STAGE_SECONDS.labels(stage=name).observe(elapsed_ms / 1000)
