"""How long a worker's death holds its job up, with the lease and the settle time of production."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.chaos.cluster import Cluster

#: Where a job's worker dies, and within how many seconds the job must be done by another.
LIMITS: Final[Mapping[str, float]] = {
    "after claim": 15.0,
    "after intent": 30.0,
    "after the write": 30.0,
    "before finish": 30.0,
}
_TIMES: Final = {"LEASE_SECONDS": "10", "SETTLE_SECONDS": "5"}
#: No death takes so long, or something else is wrong.
_MOST_SECONDS: Final = 90.0


def measure(count: int) -> dict[str, list[float]]:
    """Let workers die at each step, every step on a stack of its own and all side by side.

    Parameters:
      count: How many deaths a step.

    Returns:
      By step, from each death to the callback of its job, in seconds and in order of length.
    """
    with ThreadPoolExecutor(len(LIMITS)) as pool:
        measured = pool.map(lambda step: _deaths(step, count), LIMITS)
        return dict(zip(LIMITS, measured, strict=True))


def described(step: str, seconds: list[float]) -> str:
    """One step's distribution, with every death in it."""
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
        # The account's login is not part of what is measured.
        cluster.send_payment("login")
        cluster.wait_settled(_MOST_SECONDS)
        seconds = sorted(_death(cluster, step, number) for number in range(count))
        cluster.check_promises()
    return seconds


def _death(cluster: Cluster, step: str, number: int) -> float:
    trap = cluster.arm_failpoint(step)
    cluster.send_payment(f"death-{number}")
    cluster.wait_triggered(trap)
    died = time.monotonic()
    cluster.wait_settled(_MOST_SECONDS)
    return time.monotonic() - died
