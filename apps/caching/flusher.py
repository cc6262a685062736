"""The access log's other side: a daemon thread that turns accesses into rows, minutes and counters, once a second."""

import logging
import threading
import time
from collections import defaultdict, deque

from django.db import DataError, IntegrityError, connections
from psycopg_pool import PoolClosed

from apps.caching import local, metrics, sink
from apps.caching.outcomes import Level
from apps.caching.parameters import ROWS_PER_SECOND
from apps.caching.sampling import HASH_BITS, Sampler, fair_limits
from apps.caching.sink import Access
from apps.caching.sketch import bucket
from apps.tuning import live

logger = logging.getLogger(__name__)

# Rows and sums that wait for the database; the oldest go first.
MAX_ROWS = 20_000
MAX_CELLS = 20_000
REPORT_SECONDS = 5.0
HASH_DIGITS = HASH_BITS // 4
SAVING_LEVELS = frozenset({Level.L1, Level.L2})


class Buffer:
    """Accesses on their way from requests to the flusher; the oldest go when there are too many."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.accesses: deque[Access] = deque()
        self.dropped_count = 0
        self._lock = threading.Lock()

    def make_room(self) -> None:
        """Drop and count what is above the capacity."""
        with self._lock:
            while len(self.accesses) > self.capacity and self._drop_oldest():
                self.dropped_count += 1

    def reset(self) -> None:
        """Hold nothing, as in a new process; only for a forked one, whose lock another thread may have held."""
        self.accesses.clear()
        self.dropped_count = 0
        self._lock = threading.Lock()

    def take(self) -> list[Access]:
        """Return the accesses noted so far and forget them."""
        taken: list[Access] = []
        try:
            for _one in range(len(self.accesses)):
                taken.append(self.accesses.popleft())
        except IndexError:
            pass
        return taken

    def _drop_oldest(self) -> bool:
        try:
            self.accesses.popleft()
        except IndexError:
            return False
        return True


class Flusher:
    """Takes what requests left in the buffer, and writes it; what cannot be written waits, bounded and counted."""

    def __init__(self, buffer: Buffer, *, interval_seconds: float) -> None:
        self._buffer = buffer
        self._interval_seconds = interval_seconds
        self._process = sink.process_name()
        self._samplers: defaultdict[str, Sampler] = defaultdict(Sampler)
        self._rows: deque[sink.LogRow] = deque()
        self._cells: sink.Cells = {}
        self._lost_count = 0
        self._metered_count = buffer.dropped_count
        self._is_down = False
        self._pool_was_closed = False
        self._rows_per_second = int(ROWS_PER_SECOND.default)
        self._taken_at = time.monotonic()
        self._reported_at = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    @property
    def dropped_count(self) -> int:
        """Accesses of this process that are missing from the figures, from the log, or from both."""
        return self._buffer.dropped_count + self._lost_count

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Ask for a last batch and wait for it, at most this long."""
        self._stopping.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_seconds):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Take the buffer's accesses and write all that waits; while the database is away it goes on waiting."""
        now = time.monotonic()
        accesses = self._buffer.take()
        self._sum_up(accesses)
        self._sample(accesses, elapsed_seconds=max(now - self._taken_at, 0.001), now=now)
        self._taken_at = now
        self._keep_bounds()
        is_due = now - self._reported_at >= REPORT_SECONDS
        if not (self._rows or self._cells or is_due):
            return
        try:
            self._write(has_report=is_due)
        except (DataError, IntegrityError):
            # Would be refused each time: better these reads are missing than all that follow.
            logger.exception("accesses the database refuses are dropped")
            self._drop_batch()
        except Exception as error:
            # Celery closes a child's pool around each of its tasks, under whoever is about to take from it: all waits
            # for the next round, which has a new one, and the last round comes after all tasks.
            self._pool_was_closed = not self._pool_was_closed and _is_closed_pool(error)
            if self._pool_was_closed:
                return
            # The first failure in a row is logged; the rest shows in the counts. The thread must outlive any of them.
            if not self._is_down:
                logger.exception("the access log is not written: it waits, bounded")
            self._is_down = True
        else:
            self._is_down = self._pool_was_closed = False
            self._reported_at = now if is_due else self._reported_at
        finally:
            # Back to the pool between batches: a worker's pool has two connections.
            connections.close_all()

    def _sum_up(self, accesses: list[Access]) -> None:
        """Add the accesses to the minutes that wait, and to Prometheus."""
        totals: defaultdict[tuple[str, int], sink.Cell] = defaultdict(sink.Cell)
        for keyspace, _digest, level, at, elapsed_us, cost_us, cost_nanos in accesses:
            key = (keyspace, int(at // 60), level, bucket(elapsed_us))
            cell = self._cells.get(key)
            if cell is None:
                cell = self._cells[key] = sink.Cell()
            is_saving = level in SAVING_LEVELS
            for one in (cell, totals[keyspace, level]):
                one.read_count += 1
                one.elapsed_us += elapsed_us
                if is_saving:
                    one.saved_us += cost_us - elapsed_us
                    one.saved_nanos += cost_nanos
        for (keyspace, level), total in totals.items():
            metrics.observe(keyspace, Level(level), total)

    def _sample(self, accesses: list[Access], *, elapsed_seconds: float, now: float) -> None:
        """Turn accesses into rows, all of a key or none, at most about the live cap."""
        by_keyspace: defaultdict[str, list[tuple[int, Access]]] = defaultdict(list)
        for access in accesses:
            if access[1] is not None:
                by_keyspace[access[0]].append((int(access[1][:HASH_DIGITS], 16), access))
        limits = fair_limits(
            {name: len(found) for name, found in by_keyspace.items()},
            max(1, round(self._rows_per_second * max(elapsed_seconds, self._interval_seconds))),
        )
        for name, found in by_keyspace.items():
            sampler = self._samplers[name]
            hashes = [key_hash for key_hash, _access in found]
            end = sampler.end(hashes, limit=limits[name], now_seconds=now)
            ratio = sampler.ratio
            self._rows.extend(
                sink.log_row(access, key_hash, ratio)
                for key_hash, access in found
                if key_hash < end
            )

    def _keep_bounds(self) -> None:
        """Let the oldest go where too much waits, and count it."""
        while len(self._rows) > MAX_ROWS:
            self._rows.popleft()
            self._lost_count += 1
        if len(self._cells) > MAX_CELLS:
            oldest_first = sorted(self._cells, key=lambda key: key[1])
            for key in oldest_first[: len(self._cells) - MAX_CELLS]:
                self._lost_count += self._cells.pop(key).read_count
        metrics.DROPPED.inc(self.dropped_count - self._metered_count)
        self._metered_count = self.dropped_count

    def _drop_batch(self) -> None:
        self._lost_count += sum(cell.read_count for cell in self._cells.values())
        self._rows.clear()
        self._cells.clear()

    def _write(self, *, has_report: bool) -> None:
        self._rows_per_second = live.integer(ROWS_PER_SECOND.name)
        sink.write(
            process=self._process,
            rows=self._rows,
            cells=self._cells,
            memories=local.figures() if has_report else None,
            dropped_count=self.dropped_count,
        )
        self._rows.clear()
        self._cells.clear()


def _is_closed_pool(error: Exception) -> bool:
    return isinstance(error.__cause__, PoolClosed)
