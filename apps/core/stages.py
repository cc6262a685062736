"""One measurement of each stage of a request, handed to whoever shows or keeps it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

Sink = Callable[[str, float], None]

_sinks: list[Sink] = []


@dataclass(slots=True)
class Timings:
    """The stages of one request or task, in the order they ended: name and milliseconds."""

    entries: list[tuple[str, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, float]:
        """Return milliseconds by stage, repeated stages summed, to a hundredth."""
        totals: dict[str, float] = {}
        for name, elapsed_ms in self.entries:
            totals[name] = totals.get(name, 0.0) + elapsed_ms
        return {name: round(elapsed_ms, 2) for name, elapsed_ms in totals.items()}

    def server_timing(self) -> str:
        """Return the value of a Server-Timing header (W3C Server Timing)."""
        return ", ".join(f"{name};dur={ms:.1f}" for name, ms in self.as_dict().items())


_timings: ContextVar[Timings | None] = ContextVar("timings", default=None)


def register_sink(sink: Sink) -> None:
    """Have `sink(name, elapsed_ms)` called for each stage of this process; call it from `ready()`."""
    _sinks.append(sink)


@contextmanager
def collect() -> Iterator[Timings]:
    """Collect the stages of everything inside, threads entered with a copied context included."""
    timings = Timings()
    token = _timings.set(timings)
    try:
        yield timings
    finally:
        _timings.reset(token)


def record(name: str, elapsed_ms: float) -> None:
    """Note a stage measured by the caller, for spans that no `with` block encloses."""
    timings = _timings.get()
    if timings is not None:
        timings.entries.append((name, elapsed_ms))
    for sink in _sinks:
        sink(name, elapsed_ms)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time what is inside as the stage `name`, exceptions included."""
    started = time.perf_counter()
    try:
        yield
    finally:
        record(name, (time.perf_counter() - started) * 1000)
