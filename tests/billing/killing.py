"""Rounds of calls made at once by processes of which some are killed at one step, both Valkeys emptied meanwhile."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import connection, transaction

from apps.accounts.models import Department
from apps.billing.models import BudgetPeriod
from apps.llm.metering import DATABASE_THREADS
from apps.llm.types import Choice
from tests.billing.processes.dying import OWN_DEATHS
from tests.caching.processes.talking import Helper
from tests.fake_provider import FakeProvider, Gate, Script, Step

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Size:
    """How many processes make how many calls each, how many of them are killed, and how much may be spent."""

    processes: int
    killed: int
    calls: int
    limit_nanos: int


@dataclass
class Worker:
    """A process: the names of its calls, with who pays and how many tokens each may use, and where it notes refusals."""

    calls: dict[str, tuple[str, int]]
    notes: Path
    die_at: str | None = None
    pid: int = 0

    @property
    def told(self) -> list[dict[str, Any]]:
        """Return what it has noted so far."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Return the calls refused to it."""
        return [one for one in self.told if "refused" in one]


@dataclass
class Callers:
    """Has processes make calls of one model, and knows what its provider has seen of them."""

    helper: Helper
    provider: FakeProvider
    choice: Choice

    def start(self, workers: list[Worker], *answer: Step) -> None:
        """Have these processes make all their calls, beginning at one moment; each is answered so."""
        for worker in workers:
            for name in worker.calls:
                self.provider.will_do(f"{name}/1", Script(steps=answer))
        pids = self.helper.ask(
            "start",
            llm_model=str(self.choice.llm_model_id),
            workers=[
                {"calls": one.calls, "notes": str(one.notes), "die_at": one.die_at}
                for one in workers
            ],
        )
        for worker, pid in zip(workers, pids, strict=True):
            worker.pid = pid

    def ended(self, workers: list[Worker]) -> list[int]:
        """Wait for the processes; return how they ended."""
        codes: list[int] = self.helper.ask("wait", children=[worker.pid for worker in workers])
        return codes

    def has_seen(self, name: str) -> bool:
        """Say whether the provider got this call."""
        return f"{name}/1" in self.provider.bills

    def at_provider(self, worker: Worker) -> int:
        """Return how many of the process's calls the provider got."""
        return sum(map(self.has_seen, worker.calls))


@dataclass
class Round:
    """Calls of one department under one budget, made at once; some of their processes die at one step."""

    step: str
    size: Size
    callers: Callers
    department: Department
    workers: list[Worker]
    gate: Gate = field(default_factory=Gate)

    @property
    def doomed(self) -> list[Worker]:
        """Return the processes to be killed."""
        return self.workers[: self.size.killed]

    @property
    def names(self) -> list[str]:
        """Return the names of all calls."""
        return [name for worker in self.workers for name in worker.calls]

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Return the calls that were refused."""
        return [one for worker in self.workers for one in worker.refused]

    def start(self) -> None:
        """Have all begin; the provider keeps each call waiting at the gate."""
        begun = ["Twenty"] if self.step == "in the stream" else []
        self.callers.start(self.workers, *begun, self.gate, " days")

    def until_decided(self, workers: list[Worker]) -> None:
        """Wait until each of their calls was refused or waits at the provider's gate."""
        for worker in workers:
            until(
                lambda: self.callers.at_provider(worker) + len(worker.refused) == len(worker.calls)  # noqa: B023 - used at once
            )

    def kill(self) -> None:
        """Kill the doomed, wherever they are, or wait until they have done so; then empty both Valkeys."""
        if self.step not in OWN_DEATHS:
            for worker in self.doomed:
                os.kill(worker.pid, signal.SIGKILL)
        assert self.callers.ended(self.doomed) == [KILLED] * len(self.doomed)
        flush_valkeys()

    def run(self) -> None:
        """Make the calls; the doomed die at the step, the others go on to their end."""
        survivors = self.workers[self.size.killed :]
        if self.step == "during reserve":
            with budget_held():
                self.start()
                until(lambda: waiting_count() == self.threads(lambda one: len(one.calls)))
                self.kill()
            self.until_decided(survivors)
            self.gate.open()
        elif self.step in ("before reserve", "after reserve", "in the stream"):
            self.start()
            self.kill()
            self.until_decided(survivors)
            self.gate.open()
        else:
            self.start()
            self.until_decided(self.workers)
            if self.step == "during settle":
                with budget_held():
                    self.gate.open()
                    until(lambda: waiting_count() == self.threads(self.callers.at_provider))
                    self.kill()
            elif self.step == "during the call":
                self.kill()
                self.gate.open()
            else:
                self.gate.open()
                self.kill()
        assert self.callers.ended(survivors) == [0] * len(survivors)

    def threads(self, calls: Callable[[Worker], int]) -> int:
        """Return how many threads work for so many calls of each process."""
        return sum(min(DATABASE_THREADS, calls(worker)) for worker in self.workers)


def until(condition: Callable[[], Any]) -> None:
    """Wait until it is so."""
    while not condition():
        time.sleep(0.005)


def others(condition: str) -> int:
    """Return how many other connections to this database are so."""
    with connection.cursor() as cursor:
        # A transaction would go on seeing what it saw first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND pid <> pg_backend_pid() AND {condition}"
        )
        [count] = cursor.fetchone()
    return int(count)


def waiting_count() -> int:
    """Return how many others PostgreSQL keeps waiting for a row or a table."""
    return others("wait_event_type = 'Lock'")


def until_callers_are_gone() -> None:
    """Wait until what PostgreSQL did for the killed is done or undone."""
    until(lambda: others("state <> 'idle' AND strpos(query, ' FROM billing_') > 0") == 0)


@contextmanager
def budget_held() -> Iterator[None]:
    """Keep whoever wants to hold or free an amount of a budget waiting."""
    with transaction.atomic():
        list(BudgetPeriod.objects.select_for_update())
        yield


def flush_valkeys() -> None:
    """Empty the cache's and the state's."""
    for url in (settings.CACHE_URL, settings.REDIS_URL):
        with redis.Redis.from_url(url) as client:
            client.flushall()
