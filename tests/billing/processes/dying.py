"""Forks processes that each make one provider call, and that end by SIGKILL at the step named.

Run as `python -m tests.billing.processes.dying`; tests/caching/processes/talking.py says how to talk with it. This one
loads everything and holds no connection that they could inherit.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

import django

from tests.caching.processes.talking import serve

# At these the process ends itself; at the others the test ends it, while PostgreSQL works for it or the provider does.
OWN_DEATHS = ("before reserve", "after reserve", "in the stream", "before settle", "after settle")
KILLINGS = ("during reserve", "during the call", "during settle")
STEPS = ("before reserve", "during reserve", "after reserve", "during the call", "in the stream",
         "before settle", "during settle", "after settle")  # fmt: skip


def die() -> None:
    """End without any farewell."""
    os.kill(os.getpid(), signal.SIGKILL)


def start(llm_model: str, department: str, request: str, die_at: str | None) -> int:
    """Make the call in a forked process; return its process id at once."""
    child = os.fork()
    if not child:
        code = 1
        try:
            call(UUID(llm_model), UUID(department), UUID(request), die_at)
            code = 0
        finally:
            os._exit(code)
    return child


def wait(child: int) -> int:
    """Return a process's exit code, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def call(llm_model: UUID, department: UUID, request: UUID, die_at: str | None) -> None:
    """Stream one answer, as the chat does."""
    from apps.billing import services as billing
    from apps.billing.models import Purpose
    from apps.billing.types import CallContext
    from apps.llm import services as llm
    from apps.llm.models import LLMModel
    from apps.llm.types import ChatMessage

    def dying(work: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(**arguments: Any) -> Any:
            if die_at == f"before {name}":
                die()
            done = work(**arguments)
            if die_at == f"after {name}":
                die()
            return done

        return wrapped

    billing.reserve = dying(billing.reserve, "reserve")
    billing.settle = dying(billing.settle, "settle")
    choice = llm.as_choice(
        LLMModel.objects.select_related("provider").get(pk=llm_model), reason="test"
    )

    async def ask() -> None:
        stream = llm.stream(
            choice=choice,
            messages=[ChatMessage("user", "How many days of leave?")],
            context=CallContext(
                request_id=request, department_id=department, purpose=Purpose.ANSWER
            ),
        )
        async with aclosing(stream) as events:
            async for _event in events:
                if die_at == "in the stream":
                    die()
        await llm.close()

    asyncio.run(ask())


def main() -> None:
    """Answer until the test hangs up."""
    django.setup()
    from apps.llm import services as llm

    llm.warm()
    serve({"start": start, "wait": wait})


if __name__ == "__main__":
    main()
