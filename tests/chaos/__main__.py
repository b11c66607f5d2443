"""`make chaos`: every trap many times, long storms, and how long a death holds work up.

    python -m tests.chaos [--seed N] [--rounds N] [--events N] [--deaths N]
                          [--dms N] [--restarts N]

The same seed strikes in the same order. Bounded: half an hour with the defaults, loopback only.
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
#: Stacks side by side: most of the time each waits for a lease to run out.
STACKS = 4


def main() -> int:
    """Run everything; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--deaths", type=int, default=10)
    parser.add_argument("--dms", type=int, default=500)
    parser.add_argument("--restarts", type=int, default=100)
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    late = _late(asked.deaths)
    os.environ |= {
        "CHAOS_SEED": str(asked.seed),
        "CHAOS_ROUNDS": str(asked.rounds),
        "CHAOS_EVENTS": str(asked.events),
        "CHAOS_DMS": str(asked.dms),
        "CHAOS_RESTARTS": str(asked.restarts),
    }
    command = [sys.executable, "-m", "pytest", str(HERE), "-n", str(STACKS), "--timeout", "1800"]
    failed = subprocess.run([*command, "--maxfail", "1", "-v"], check=False).returncode
    return 1 if failed or late else 0


def _late(count: int) -> bool:
    """Measure and print the deaths; whether one of them held its job up for too long."""
    print("from a worker's death to its job's callback, default lease and settle", flush=True)
    measured = deaths.measure(count)
    for step, seconds in measured.items():
        print(deaths.described(step, seconds), flush=True)
    return any(seconds[-1] > deaths.LIMITS[step] for step, seconds in measured.items())


if __name__ == "__main__":
    sys.exit(main())
