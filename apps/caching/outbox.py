"""The outbox: invalidations that triggers wrote with the change; the relay repeats them, so that none is lost.

A writer killed between COMMIT and its own invalidation, a bulk update and raw SQL are covered by it.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Min
from django.utils import timezone

from apps.caching import entries, keyspaces, local, policies, remote
from apps.caching.flights import flights
from apps.caching.keyspaces import Key, Keyspace
from apps.caching.models import InvalidationOutbox

logger = logging.getLogger(__name__)

BATCH_SIZE = 500
_OTHERS_SECONDS = 0.02


def relay_round() -> int:
    """Repeat the oldest invalidations in Valkey and delete their rows; return how many there were, at most a batch.

    Raises:
        remote.Unavailable: Valkey is away; the rows stay.
    """
    with transaction.atomic():
        # Valkey is called inside of the transaction: the locks keep a second relay from the same rows, and a round
        # that fails leaves them. Only the relay waits, for as long as the cache's timeout.
        rows = list(
            InvalidationOutbox.objects.select_for_update(skip_locked=True).order_by("pk")[
                :BATCH_SIZE
            ]
        )
        if rows:
            # Read now: with the epoch from before a purge, the keys that are read since would be passed over for good.
            policies.refresh()
            _repeat(rows)
            InvalidationOutbox.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def drain() -> None:
    """Repeat all that is older than this moment, together with other relays.

    Raises:
        remote.Unavailable: Valkey is away again.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [moment] = cursor.fetchone()
    while InvalidationOutbox.objects.filter(created_at__lt=moment).exists():
        if relay_round() == 0:
            # Another relay has the rest in hand.
            time.sleep(_OTHERS_SECONDS)


def lag() -> timedelta:
    """Return the age of the oldest invalidation that waits, zero where none does."""
    oldest = InvalidationOutbox.objects.aggregate(oldest=Min("created_at"))["oldest"]
    return timezone.now() - oldest if oldest else timedelta(0)


def _repeat(rows: Sequence[InvalidationOutbox]) -> None:
    calls: list[tuple[remote.Keys, tuple[Any, ...]]] = []
    for name, key in {(row.keyspace, tuple(row.key)) for row in rows}:
        try:
            calls.append(invalidation(keyspaces.get(name), key))
        except keyspaces.KeyspaceError as error:
            # Of another release: nobody reads that keyspace, or keys of that shape; it must not hold up the others.
            logger.warning("invalidation dropped", extra={"keyspace": name, "error": str(error)})
    remote.many(remote.INVALIDATE, calls, is_past_breaker=True)


def invalidation(keyspace: Keyspace[Any], key: Key) -> tuple[remote.Keys, tuple[Any, ...]]:
    """Return keys and arguments of the script that invalidates a key."""
    policy = policies.of(keyspace)
    digest = keyspaces.digest(keyspace, key)
    local.drop(keyspace.name, digest)
    flights.forgive((keyspace.name, digest))
    arguments = (entries.generation_ms(keyspace, policy), "0" if keyspace.has_l2 else "1")
    return remote.keys_of(keyspace.name, policy.epoch, digest), arguments
