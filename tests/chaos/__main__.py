"""`make chaos`: every failpoint many times, random faults, and the delay that a death causes.

    python -m tests.chaos [--seed N] [--rounds N] [--events N] [--deaths N]
                          [--dms N] [--restarts N] [--hostile SECONDS] [--failover N]
                          [--jobs N]

The same seed injects the same faults in the same order. About an hour with the defaults;
uses loopback only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.chaos import deaths

HERE = Path(__file__).parent
#: Ten minutes in all, where a test run takes seconds.
HOSTILE = HERE.parent / "api" / "test_hostile_connections.py"
#: Stacks running in parallel: each spends most of its time waiting for a lease to expire.
STACKS = 4


def main() -> int:
    """Run everything; return 0 if no promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--deaths", type=int, default=10)
    parser.add_argument("--dms", type=int, default=500)
    parser.add_argument("--restarts", type=int, default=100)
    parser.add_argument("--hostile", type=int, default=75)
    parser.add_argument("--failover", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=100_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    late = _measure_deaths(arguments.deaths)
    os.environ |= {
        "CHAOS_SEED": str(arguments.seed),
        "CHAOS_ROUNDS": str(arguments.rounds),
        "CHAOS_EVENTS": str(arguments.events),
        "CHAOS_DMS": str(arguments.dms),
        "CHAOS_RESTARTS": str(arguments.restarts),
        "CHAOS_JOBS": str(arguments.jobs),
        "CHAOS_HOSTILE_SECONDS": str(arguments.hostile),
        "CHAOS_FAILOVER_TEXTS": str(arguments.failover),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(HERE),
        str(HOSTILE),
        "-n",
        str(STACKS),
        "--timeout",
        "1800",
    ]
    failed = subprocess.run([*command, "--maxfail", "1", "-v"], check=False).returncode
    return 1 if failed or late else 0


def _measure_deaths(count: int) -> bool:
    """Measure and print the delays; return whether one exceeded its limit."""
    print("from a worker's death to its job's callback, default lease and settle", flush=True)
    measured = deaths.measure(count)
    for step, seconds in measured.items():
        print(deaths.described(step, seconds), flush=True)
    return any(seconds[-1] > deaths.LIMITS[step] for step, seconds in measured.items())


if __name__ == "__main__":
    sys.exit(main())
