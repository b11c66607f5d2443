"""Percentiles of waits from buckets."""

from __future__ import annotations

import random

import pytest

from service.stats.waits import BOUNDS, BUCKETS, percentile


def bucket(seconds: float) -> int:
    """The bucket that counts a wait, as lib/stats.lua chooses it."""
    return next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))


def test_without_waits_there_is_none() -> None:
    assert percentile([0] * BUCKETS, 0.5) is None


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("scale", [2, 60, 4_000])
def test_an_estimate_is_within_the_bucket_of_the_true_value(share: float, scale: int) -> None:
    rng = random.Random(scale)
    waits = sorted(rng.expovariate(1 / scale) for _ in range(999))
    counts = [0] * BUCKETS
    for wait in waits:
        counts[bucket(wait)] += 1

    true = waits[round(share * len(waits)) - 1]
    estimate = percentile(counts, share)
    assert estimate is not None
    assert bucket(estimate) == bucket(true)


def test_waits_without_a_bound_count_as_the_last_bound() -> None:
    assert percentile([0] * (BUCKETS - 1) + [3], 0.5) == BOUNDS[-1]
