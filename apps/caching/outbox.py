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
# How long a generation made for a keyspace of another release lives. Its end is news too, and costs a compute, no more.
_OTHERS_GENERATION_MS = 3_600_000


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
    calls = [_repetition(*one) for one in {(row.keyspace, tuple(row.key)) for row in rows}]
    remote.many(remote.INVALIDATE, calls, is_past_breaker=True)


def _repetition(name: str, key: Key) -> tuple[remote.Keys, tuple[Any, ...]]:
    try:
        return invalidation(keyspaces.get(name), key)
    except keyspaces.KeyspaceError:
        # Of another release, whose processes may run beside this one while a new one is rolled out: its keyspace, or
        # keys of that shape, are nothing we know, and still theirs to be kept fresh.
        logger.info("invalidation repeated for another release", extra={"keyspace": name})
        keys = remote.keys_of(name, policies.last_epoch(name), keyspaces.digest_of(key))
        return keys, (_OTHERS_GENERATION_MS, "1")


def invalidation(keyspace: Keyspace[Any], key: Key) -> tuple[remote.Keys, tuple[Any, ...]]:
    """Return keys and arguments of the script that invalidates a key."""
    policy = policies.of(keyspace)
    digest = keyspaces.digest(keyspace, key)
    local.drop(keyspace.name, digest)
    flights.forgive((keyspace.name, digest))
    arguments = (entries.generation_ms(keyspace, policy), "0" if keyspace.has_l2 else "1")
    return remote.keys_of(keyspace.name, policy.epoch, digest), arguments
