"""Filters of the answer caches' page in the admin."""

from django import template

from apps.caching.figures import Reads
from apps.caching.outcomes import Level

register = template.Library()

ONE = 0.1


@register.filter
def percent(ratio: float | None) -> str:
    """Return a share in percent, with a decimal below ten; a dash where there is none."""
    if ratio is None:
        return "–"
    return f"{ratio * 100:.1f} %" if ratio < ONE else f"{ratio * 100:.0f} %"


@register.filter
def percent_range(interval: tuple[float, float]) -> str:
    """Return an interval of shares in percent."""
    low, high = (percent(ratio) for ratio in interval)
    return f"{low.removesuffix(' %')}–{high}"


@register.filter
def misses(reads: Reads) -> int:
    """Return how many reads found nothing."""
    return reads.counts.get(Level.MISS, 0)
