"""A replica takes over in the midst of everything: no DM and no comment is written again."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.failover import PROMOTIONS, Failover
from tests.chaos.failover_storm import open_storm, storm
from tests.chaos.store_servers import binaries

#: How many texts each storm writes (`make chaos` sets more), and whether it raises all of them.
TEXTS: Final = int(os.environ.get("CHAOS_FAILOVER_TEXTS", "24"))
IS_CHAOS: Final = "CHAOS_FAILOVER_TEXTS" in os.environ

#: How far the replica lags in each direction, in ms.
LAGS: Final = (0, 20, 200, 1_000)
STORMS: Final = (
    list(product(binaries(), PROMOTIONS, LAGS, ("memory", "replica")))
    if IS_CHAOS
    else [("valkey", "Sentinel", 200, "replica")]
)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("program", "promotion", "lag_ms", "durability"), STORMS)
def test_a_storm_with_a_failover_writes_nothing_twice(
    tmp_path: Path, program: str, promotion: str, lag_ms: int, durability: str
) -> None:
    failover = Failover(binaries()[program], tmp_path / "stores")
    environ = {"DURABILITY": durability}
    with failover.open(), open_storm(tmp_path / "stack", failover, environ) as running:
        failover.line.delay(lag_ms / 1_000)
        lost = storm(running, PROMOTIONS[promotion], TEXTS)
    what = f"{program}, {promotion}, {lag_ms} ms, DURABILITY={durability}"
    print(f"{what}: {len(lost)} acknowledged jobs were lost")
    assert not (lost and durability == "replica"), lost
