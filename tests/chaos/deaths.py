"""How long a worker's death delays its job, with production's lease and settle time."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.chaos.cluster import Cluster

#: By the step at which a worker dies: within how many seconds another must have done the job.
LIMITS: Final[Mapping[str, float]] = {
    "after claim": 15.0,
    "after intent": 30.0,
    "after the write": 30.0,
    "before finish": 30.0,
}
_TIMES: Final = {"LEASE_SECONDS": "10", "SETTLE_SECONDS": "5"}
#: A bound: whatever takes longer is broken in another way.
_MAX_SECONDS: Final = 90.0


def measure(count: int) -> dict[str, list[float]]:
    """Kill workers at each step; every step has its own stack, and all run in parallel.

    Parameters:
      count: Deaths per step.

    Returns:
      By step, the seconds from each death to the callback of its job, sorted.
    """
    with ThreadPoolExecutor(len(LIMITS)) as pool:
        measured = pool.map(lambda step: _deaths(step, count), LIMITS)
        return dict(zip(LIMITS, measured, strict=True))


def described(step: str, seconds: list[float]) -> str:
    """One step's distribution and every single value."""
    each = " ".join(f"{second:.1f}" for second in seconds)
    return (
        f"{step:>16}: min {seconds[0]:.1f} s, median {statistics.median(seconds):.1f} s,"
        f" max {seconds[-1]:.1f} s (must be within {LIMITS[step]:.0f} s)\n{'':>18}{each}"
    )


def _deaths(step: str, count: int) -> list[float]:
    with (
        tempfile.TemporaryDirectory() as directory,
        Cluster(Path(directory) / "stack", times=_TIMES).open() as cluster,
    ):
        # Log in first: the login is not part of the measurement.
        cluster.send_payment("login")
        cluster.wait_settled(_MAX_SECONDS)
        seconds = sorted(_death(cluster, step, number) for number in range(count))
        cluster.check_promises()
    return seconds


def _death(cluster: Cluster, step: str, number: int) -> float:
    failpoint = cluster.arm_failpoint(step)
    cluster.send_payment(f"death-{number}")
    cluster.wait_triggered(failpoint)
    died = time.monotonic()
    cluster.wait_settled(_MAX_SECONDS)
    return time.monotonic() - died
