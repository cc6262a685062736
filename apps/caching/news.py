"""Telling every process at once that parameters or policies have changed; each hears it through its listener."""

from redis.exceptions import RedisError

from apps.caching import remote
from apps.caching.breaker import breaker

# Under the prefix the listeners track, but no cached key's.
TUNING_KEY = f"{remote.GENERATION_PREFIX}{{tuning}}"
_KEPT_SECONDS = 60


def tell_tuning() -> None:
    """Tell it; with Valkey away, each process finds out by itself within half a second."""
    if breaker.is_open:
        return
    try:
        remote.client().set(TUNING_KEY, "", ex=_KEPT_SECONDS)
    except (RedisError, OSError) as error:
        breaker.trip(error)
