"""Forks processes that each make many provider calls at once, and that end by SIGKILL at the step named.

Run as `python -m tests.billing.processes.dying`; tests/caching/processes/talking.py says how to talk with it. This one
loads everything and holds no connection that they could inherit.
"""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import django

from tests.billing.processes.forking import exit_code, fork_all
from tests.caching.processes.talking import serve

# At these the process ends itself; at the others the test ends it, while PostgreSQL works for it or the provider does.
OWN_DEATHS = ("before reserve", "after reserve", "in the stream", "before settle", "after settle")
KILLINGS = ("during reserve", "during the call", "during settle")
STEPS = ("before reserve", "during reserve", "after reserve", "during the call", "in the stream",
         "before settle", "during settle", "after settle")  # fmt: skip


@dataclass
class Notes:
    """What a process tells the test, a JSON line each; what it has told outlives it."""

    path: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, **told: Any) -> None:
        """Add a line, at once."""
        with Path(self.path).open("ab", buffering=0) as file:
            file.write(json.dumps(told).encode() + b"\n")

    def die(self, call: Any) -> None:
        """End without any farewell, and let no other thread say that it was the one."""
        self.lock.acquire()
        self.write(died=str(call))
        os.kill(os.getpid(), signal.SIGKILL)


def start(llm_model: str, workers: list[dict[str, Any]]) -> list[int]:
    """Fork a process for each of `calls`, `notes` and `die_at`, to begin at one moment; return their ids."""
    # Once here instead of in each of the forked.
    import openai.resources.chat.completions  # noqa: F401

    from apps.llm import services as llm

    llm.warm()
    return fork_all([partial(work, UUID(llm_model), **worker) for worker in workers])


def wait(children: list[int]) -> list[int]:
    """Wait for the processes; return their exit codes."""
    return [exit_code(child) for child in children]


def work(
    llm_model: UUID,
    meet: Callable[[], None],
    *,
    calls: dict[str, tuple[str, int]],
    notes: str,
    die_at: str | None,
) -> None:
    """Stream answers to all requests of `calls` at once, as the chat does: each its payer's, of so many tokens at most."""
    from django.db import connection

    from apps.billing.errors import BudgetExceededError
    from apps.billing.models import Purpose
    from apps.billing.types import CallContext
    from apps.llm import services as llm
    from apps.llm.errors import CallRepeatedError
    from apps.llm.models import LLMModel
    from apps.llm.types import ChatMessage

    teller = Notes(notes)
    watch_money(teller, die_at)
    row = LLMModel.objects.select_related("provider").get(pk=llm_model)
    choice = llm.as_choice(row, reason="test")
    connection.close()

    async def one(request: str, department: str, most_tokens: int) -> None:
        stream = llm.stream(
            choice=choice,
            messages=[ChatMessage("user", "How many days of leave?")],
            context=CallContext(UUID(request), UUID(department), Purpose.ANSWER),
            max_output_tokens=most_tokens,
        )
        # A refusal is noted where it happens; a repeat of what was paid is what the second round is for.
        with suppress(BudgetExceededError, CallRepeatedError):
            async with aclosing(stream) as events:
                async for _event in events:
                    if die_at == "in the stream":
                        teller.die(request)

    async def all_at_once() -> None:
        await asyncio.gather(*(one(request, *which) for request, which in calls.items()))
        await llm.close()

    meet()
    asyncio.run(all_at_once())


def watch_money(notes: Notes, die_at: str | None) -> None:
    """Note each refusal with its times, and die before or after a call is opened or settled."""
    from apps.billing import services as billing
    from apps.billing.errors import BudgetExceededError

    reserve_really, settle_really = billing.reserve, billing.settle

    def reserve(**arguments: Any) -> Any:
        request = str(arguments["context"].request_id)
        if die_at == "before reserve":
            notes.die(request)
        begun_at = time.time()
        try:
            reserved = reserve_really(**arguments)
        except BudgetExceededError as error:
            told = error.refusal
            notes.write(
                request=request,
                refused=[told.limit_nanos, told.spent_nanos, told.reserved_nanos],
                max=told.max_nanos,
                times=[begun_at, time.time()],
            )
            raise
        if die_at == "after reserve":
            notes.die(request)
        return reserved

    def settle(**arguments: Any) -> Any:
        if die_at == "before settle":
            notes.die(arguments["reservation_id"])
        settled = settle_really(**arguments)
        if die_at == "after settle":
            notes.die(settled.request_id)
        return settled

    billing.reserve, billing.settle = reserve, settle


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    serve({"start": start, "wait": wait})


if __name__ == "__main__":
    main()
