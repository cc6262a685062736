"""Synchronous steps of replies, on threads of their own that give their database connections back."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")

# Steps at a time: each holds one pooled connection for some milliseconds.
STEP_THREADS = 4
# Preparing has threads of its own: it waits for the embedding model, and nothing else may wait with it.
PREPARE_THREADS = 8


class Steps:
    """Some threads and the way onto them."""

    def __init__(self, thread_count: int, *, name: str) -> None:
        self._threads = ThreadPoolExecutor(thread_count, thread_name_prefix=name)

    async def hop(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a synchronous step on one of the threads and give its database connections back."""

        def call() -> R:
            try:
                return step(*args, **kwargs)
            finally:
                connections.close_all()

        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: context.run(call))

    def close(self) -> None:
        """Wait for what runs, then end the threads."""
        self._threads.shutdown(wait=True)
