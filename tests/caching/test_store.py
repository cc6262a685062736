"""The store: a hit, a stored None, invalidation, and life without a server."""

import pytest
from django.core.cache import caches
from django.test import override_settings

from apps.caching import store
from apps.caching.store import Keyspace, cache_key, get_or_compute, invalidate

SPACE = Keyspace(name="tests:thing:1", ttl_seconds=60, help_text="")


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    caches["default"].clear()


def test_a_value_is_computed_once_until_invalidated() -> None:
    calls: list[int] = []

    def compute() -> dict[str, int]:
        calls.append(1)
        return {"n": len(calls)}

    assert get_or_compute(SPACE, ("a", 1), compute) == {"n": 1}
    assert get_or_compute(SPACE, ("a", 1), compute) == {"n": 1}
    assert get_or_compute(SPACE, ("a", 2), compute) == {"n": 2}
    invalidate(SPACE, ("a", 1))
    assert get_or_compute(SPACE, ("a", 1), compute) == {"n": 3}


def test_a_stored_none_is_not_a_miss() -> None:
    calls: list[int] = []
    for _again in range(2):
        assert get_or_compute(SPACE, ("none",), lambda: calls.append(1)) is None
    assert calls == [1]


def test_keys_do_not_run_together() -> None:
    assert cache_key(SPACE, ("a", "bc")) != cache_key(SPACE, ("ab", "c"))


def test_without_a_server_the_value_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.cache import CacheHandler

    lost = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 0.2},
        }
    }
    with override_settings(CACHES=lost):
        monkeypatch.setattr(store, "cache", CacheHandler(lost)["default"])
        assert get_or_compute(SPACE, ("a",), lambda: 7) == 7
        invalidate(SPACE, ("a",))
