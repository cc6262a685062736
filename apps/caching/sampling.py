"""Which keys the access log keeps when there are more reads than its cap: whole keys, by the bits of their hash."""

from collections.abc import Mapping, Sequence

HASH_BITS = 64
MAX_HALVINGS = 20
# How long fewer reads must last before more keys are kept again: the sample's keys should not change each second.
HOLD_SECONDS = 60.0


class Sampler:
    """Keeps a share of one keyspace's keys small enough for a cap.

    The share is a power of one half: the keys of a smaller share are among those of a larger one, so whoever replays
    thins a stretch of time to its smallest share. A key that is kept is kept with all its reads.
    """

    def __init__(self) -> None:
        self._halvings = 0
        self._changed_at = float("-inf")

    def end(self, hashes: Sequence[int], *, limit: int, now_seconds: float) -> int:
        """Return the end of the kept hashes, 0 ≤ hash < end ≤ 2^64, so that about `limit` of these are kept."""
        needed = 0
        while needed < MAX_HALVINGS and _count_below(hashes, _end(needed)) > limit:
            needed += 1
        is_over = now_seconds - self._changed_at >= HOLD_SECONDS
        if needed > self._halvings:
            self._halvings, self._changed_at = needed, now_seconds
        elif needed < self._halvings and is_over:
            self._halvings, self._changed_at = self._halvings - 1, now_seconds
        return _end(self._halvings)

    @property
    def ratio(self) -> float:
        """The share of keys kept now."""
        return 0.5**self._halvings


def fair_limits(counts: Mapping[str, int], total: int) -> dict[str, int]:
    """Share out a total so that nobody gets more than asked for while another gets less than an equal part."""
    limits = {}
    left = total
    for place, name in enumerate(sorted(counts, key=lambda one: (counts[one], one))):
        limits[name] = min(counts[name], left // (len(counts) - place))
        left -= limits[name]
    return limits


def _end(halvings: int) -> int:
    return 1 << (HASH_BITS - halvings)


def _count_below(hashes: Sequence[int], end: int) -> int:
    return sum(1 for one in hashes if one < end)
