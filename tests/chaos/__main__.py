"""`make chaos`: every trap many times, a long storm, and how long a death holds work up.

    python -m tests.chaos [--seed N] [--rounds N] [--events N] [--deaths N]

The same seed strikes in the same order. Bounded: half an hour with the defaults, loopback only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deploy.local.waiting import until
from tests.chaos.arena import Arena, paid_event
from tests.chaos.traps import set_trap

HERE = Path(__file__).parent
#: Where a job dies, and within how many seconds it must go on with the default lease and settle.
DEATHS = {"after claim": 15.0, "after the write": 30.0}
DEFAULT_TIMES = {"LEASE_SECONDS": "10", "SETTLE_SECONDS": "5"}


def main() -> int:
    """Run everything; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--deaths", type=int, default=5)
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    late = _deaths(asked.deaths)
    os.environ |= {
        "CHAOS_SEED": str(asked.seed),
        "CHAOS_ROUNDS": str(asked.rounds),
        "CHAOS_EVENTS": str(asked.events),
    }
    command = [sys.executable, "-m", "pytest", str(HERE), "--timeout", "1800", "-x", "-v"]
    failed = subprocess.run(command, check=False).returncode
    return 1 if failed or late else 0


def _deaths(count: int) -> bool:
    """Kill a worker at each step and time how long its job takes to be done by another."""
    late = False
    print("from a worker's death to its job's end, default lease and settle")
    with (
        tempfile.TemporaryDirectory() as directory,
        Arena(Path(directory) / "stack", times=DEFAULT_TIMES).open() as arena,
    ):
        for step, limit in DEATHS.items():
            seconds = sorted(_death(arena, step, number) for number in range(count))
            late |= seconds[-1] > limit
            median = statistics.median(seconds)
            print(
                f"{step:>18}: min {seconds[0]:.1f} s, median {median:.1f} s,"
                f" max {seconds[-1]:.1f} s (must be within {limit:.0f} s)"
            )
    return late


def _death(arena: Arena, step: str, number: int) -> float:
    trap = set_trap(arena.traps, step)
    answer = arena.deliver(paid_event(f"death-{step.replace(' ', '-')}-{number}"))
    until(lambda: not trap.exists(), 30, f"the death {step}")
    died = time.monotonic()
    until(lambda: (arena.job(answer["jobs"][0]) or {}).get("status") == "succeeded", 60)
    return time.monotonic() - died


if __name__ == "__main__":
    sys.exit(main())
