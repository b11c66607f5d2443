"""The local lookup cache: ages and size."""

from __future__ import annotations

from service.lookups.local_cache import LocalCache
from service.lookups.shared_cache import CachedValue
from service.lookups.targets import LookupTarget


class Clock:
    """A clock that tests can set."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def target(number: int) -> LookupTarget:
    return LookupTarget("user", f"u{number}")


def test_a_value_ages_and_is_dropped_when_it_is_stale() -> None:
    clock = Clock()
    cache = LocalCache(clock=clock)
    cache.put(target(1), CachedValue(b"{}", "etag", age_ms=2_000))
    clock.now += 5
    assert cache.get(target(1), 10_000) == CachedValue(b"{}", "etag", 7_000)
    clock.now += 3
    assert cache.get(target(1), 10_000) is None
    assert cache.get(target(1), 100_000) is None


def test_the_least_recently_used_entry_is_dropped() -> None:
    cache = LocalCache(max_entries=2, clock=Clock())
    for number in (1, 2):
        cache.put(target(number), CachedValue(b"{}", str(number), 0))
    assert cache.get(target(1), 1_000) is not None
    cache.put(target(3), CachedValue(b"{}", "3", 0))
    assert [cache.get(target(number), 1_000) is None for number in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
