"""Waiting for a condition, instead of for a time."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object]) -> None:
    """Return once the condition holds; give up, so that a run doesn't hang, after what no machine needs."""
    gives_up_at = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < gives_up_at, "the condition never came to hold"
        time.sleep(0.002)
