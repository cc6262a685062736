"""Above the cap whole keys are left out, fairly among keyspaces, and every row says what share was kept."""

from datetime import UTC, datetime

import pytest
from django.db.models import Sum

from apps.caching.flusher import Buffer, Flusher
from apps.caching.models import AccessLog, AccessMinute
from apps.caching.outcomes import Level
from apps.caching.sampling import Sampler, fair_limits
from apps.tuning import services as tuning

# Odd, so its multiples spread evenly over all hashes.
SPREAD = 0x9E3779B97F4A7C15


def test_a_sampler_keeps_whole_keys_and_nests() -> None:
    hashes = [(n * SPREAD) % 2**64 for n in range(1000)]
    sampler = Sampler()
    first = sampler.end(hashes * 3, limit=3000, now_seconds=0)
    assert (first, sampler.ratio) == (2**64, 1.0)
    second = sampler.end(hashes * 3, limit=800, now_seconds=1)
    assert sampler.ratio == 0.25
    assert sum(one < second for one in hashes * 3) <= 800
    # Held for a minute, then let out one step at a time.
    assert sampler.end(hashes[:1], limit=800, now_seconds=30) == second
    assert sampler.end(hashes[:1], limit=800, now_seconds=61) == second * 2


def test_a_cap_is_shared_out_fairly() -> None:
    assert fair_limits({"hot": 5000, "warm": 80, "rare": 3}, 200) == {
        "rare": 3,
        "warm": 80,
        "hot": 117,
    }
    assert fair_limits({"a": 500, "b": 500}, 200) == {"a": 100, "b": 100}


@pytest.mark.django_db(transaction=True)
def test_turning_the_cap_samples_the_next_batches_and_counts_all() -> None:
    tuning.change(values={"caching.access_log_rows_per_second": 50}, author_id=None)
    buffer = Buffer(100_000)
    flusher = Flusher(buffer, interval_seconds=1.0)
    at = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    batch = [
        (
            "caching:tested:1",
            f"{(n * SPREAD) % 2**64:016x}{'0' * 16}",
            Level.L1,
            at,
            2.0,
            90.0,
            0,
        )
        for n in range(1000)
    ]
    flusher.flush()
    buffer.accesses.extend(batch * 2)
    flusher.flush()
    assert AccessMinute.objects.aggregate(total=Sum("read_count"))["total"] == 2000
    kept = AccessLog.objects.values_list("key_hash", "sampling_ratio")
    assert 0 < len(kept) <= 50
    [ratio] = {ratio for _hash, ratio in kept}
    assert (1 / ratio).is_integer()
    # Both reads of each key that was kept, and about as many keys as the ratio says.
    assert len({key_hash for key_hash, _ratio in kept}) * 2 == len(kept)
