"""Whether Valkey is asked at all: open after the first failure, closed again by the listener once nothing old is left in it."""

import logging
import threading

logger = logging.getLogger(__name__)


class Breaker:
    """Open: nobody waits for Valkey. It closes only through `close`, after the caller made sure of what Valkey holds."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin closed; also in a forked child, whose lock another thread of the parent may have held."""
        self.is_open = False
        self.trips = 0
        self._lock = threading.Lock()

    def trip(self, error: BaseException) -> None:
        """Open; a repeat only counts."""
        with self._lock:
            self.trips += 1
            was_open, self.is_open = self.is_open, True
        if not was_open:
            logger.warning("cache not reachable, values are computed", extra={"error": repr(error)})

    def close(self) -> None:
        """Have Valkey asked again."""
        with self._lock:
            was_open, self.is_open = self.is_open, False
        if was_open:
            logger.info("cache reachable again")


breaker = Breaker()
