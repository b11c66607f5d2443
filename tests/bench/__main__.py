"""`make bench`: figures side by side in one run. Ratios are the point, not the milliseconds.

make bench BENCH="webhooks store" runs only the named measurements.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.bench import followers, live, reads, round_trips, stats, store, webhooks, worker
from tests.bench.table import Measurement, Row, show, write

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "webhooks": webhooks.measure,
    "round_trips": round_trips.measure,
    "worker": worker.measure,
    "live": live.measure,
    "reads": reads.measure,
    "store": store.measure,
    "followers": followers.measure,
    "stats": stats.measure,
}


def main() -> int:
    """Measure, print, and write the figures to bench.json."""
    began = time.monotonic()
    rows: list[Row] = []
    for name in _chosen():
        with tempfile.TemporaryDirectory() as directory:
            for row in MEASUREMENTS[name](Path(directory)):
                show(row)
                rows.append(row)
    write(rows, Path("bench.json"))
    print(f"\nin {time.monotonic() - began:.0f} s; also in bench.json")
    return 0


def _chosen() -> list[str]:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("name", nargs="*", help=", ".join(MEASUREMENTS))
    names: list[str] = parser.parse_args().name
    unknown = set(names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"no measurement {', '.join(sorted(unknown))}: there are {[*MEASUREMENTS]}")
    return names or list(MEASUREMENTS)


if __name__ == "__main__":
    sys.exit(main())
