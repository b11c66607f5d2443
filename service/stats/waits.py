"""How long jobs waited, in buckets that lua/lib/stats.lua counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: The upper bound of each bucket, in seconds: 1, 2, 4 ... up to three days. One more bucket has
#: the waits that are longer.
BOUNDS: Final = tuple(1 << n for n in range(19))
BUCKETS: Final = len(BOUNDS) + 1


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Estimate the wait that a share of the jobs did not exceed.

    Parameters:
      counts: The jobs in each bucket.
      share: For example 0.95.

    Returns:
      Seconds, at most twice too long or too short: within a bucket, waits are taken to be spread
      evenly, as Prometheus' `histogram_quantile` does. The last bucket has no bound, so its
      beginning is returned for it. None if there are no jobs.
    """
    rank = share * sum(counts)
    if not rank:
        return None
    below = 0
    for bucket, bound in enumerate(BOUNDS):
        count = counts[bucket]
        if count and below + count >= rank:
            start = BOUNDS[bucket - 1] if bucket else 0
            return round(float(start + (bound - start) * (rank - below) / count), 3)
        below += count
    return float(BOUNDS[-1])
