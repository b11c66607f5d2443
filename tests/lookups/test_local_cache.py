"""Copies of one process: how old they are, and how many."""

from __future__ import annotations

from service.lookups.local_cache import LocalCache
from service.lookups.shared_cache import CachedValue
from service.lookups.targets import LookupTarget


class Clock:
    """Seconds that pass at will."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def target(number: int) -> LookupTarget:
    return LookupTarget("user", f"u{number}")


def test_a_copy_ages_and_is_let_go_when_it_is_stale() -> None:
    clock = Clock()
    copies = LocalCache(clock=clock)
    copies.keep(target(1), CachedValue(b"{}", "etag", age_ms=2_000))
    clock.now += 5
    assert copies.fresh(target(1), 10_000) == CachedValue(b"{}", "etag", 7_000)
    clock.now += 3
    assert copies.fresh(target(1), 10_000) is None
    assert copies.fresh(target(1), 100_000) is None


def test_the_one_goes_that_was_not_asked_for_the_longest() -> None:
    copies = LocalCache(most=2, clock=Clock())
    for number in (1, 2):
        copies.keep(target(number), CachedValue(b"{}", str(number), 0))
    assert copies.fresh(target(1), 1_000) is not None
    copies.keep(target(3), CachedValue(b"{}", "3", 0))
    assert [copies.fresh(target(number), 1_000) is None for number in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
