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
    list(product(binaries(), PROMOTIONS, LAGS)) if IS_CHAOS else [("valkey", "Sentinel", 200)]
)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("program", "promotion", "lag_ms"), STORMS)
def test_a_storm_with_a_failover_writes_nothing_twice(
    tmp_path: Path, program: str, promotion: str, lag_ms: int
) -> None:
    failover = Failover(binaries()[program], tmp_path / "stores")
    with failover.open():
        failover.line.delay(lag_ms / 1_000)
        with open_storm(tmp_path / "stack", failover) as running:
            lost = storm(running, PROMOTIONS[promotion], TEXTS)
    print(f"{program}, {promotion}, {lag_ms} ms: {len(lost)} acknowledged jobs were lost")
