"""Waiting for the listener of this process to have heard all that was said before: the news come in their order."""

import time
from uuid import uuid4

from apps.caching import listener, local, remote

NAME = "tests:barrier:1"


def until_heard() -> None:
    """Return once everything that changed before this call has reached this process's memory."""
    listener.ensure()
    while not local.is_open:
        time.sleep(0.002)
    memory, marker = local.memory(NAME, 1, 0), uuid4().hex
    ticket = memory.ticket(marker)
    remote.client().set(remote.keys_of(NAME, 0, marker)[1], "", px=1000)
    while ticket in memory._tickets.get(marker, ()):
        time.sleep(0.0005)
