"""The relay: round after round it repeats what the outbox holds. Several may run; they share the rows out by their locks."""

import logging
import threading

from django.db import DatabaseError, connections

from apps.caching import outbox, remote

logger = logging.getLogger(__name__)

ROUND_SECONDS = 0.25
RETRY_SECONDS = 1.0


def run(stopping: threading.Event) -> None:
    """Repeat the outbox every ROUND_SECONDS until asked to stop; what is away is waited for, and said once."""
    is_well = True
    while not stopping.is_set():
        try:
            repeat_all()
        except (DatabaseError, remote.Unavailable) as error:
            if is_well:
                logger.warning("invalidations wait", extra={"error": repr(error)})
            is_well = False
            connections.close_all()
            stopping.wait(RETRY_SECONDS)
        else:
            if not is_well:
                logger.info("invalidations are repeated again")
            is_well = True
            stopping.wait(ROUND_SECONDS)


def repeat_all() -> int:
    """Repeat what the outbox holds now; return how many rows.

    Raises:
        remote.Unavailable: Valkey is away; what is left stays.
    """
    count = 0
    while repeated := outbox.relay_round():
        count += repeated
        if repeated < outbox.BATCH_SIZE:
            break
    return count
