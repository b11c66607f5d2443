"""Deploys all day: however often workers are replaced, an account keeps its device and session."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Final

import pytest

from deploy.local.wait import until
from tests.chaos.cluster import SEED, WORKERS, Cluster

#: How many workers are replaced (`make chaos` replaces 100).
RESTARTS: Final = int(os.environ.get("CHAOS_RESTARTS", "4"))


@pytest.mark.timeout(400 + 10 * RESTARTS)
def test_replaced_workers_share_one_device_and_one_login(
    tmp_path: Path, empty_store: str | None
) -> None:
    with Cluster(tmp_path / "stack", empty_store).open() as cluster:
        # Given three workers with work
        cluster.start("worker-3")
        dice = random.Random(SEED)
        # When they are stopped or killed one after another, and started again
        for round_number in range(RESTARTS):
            cluster.send_payment(f"restart-{round_number}-before")
            label = dice.choice((*WORKERS, "worker-3"))
            number = dice.choice((signal.SIGTERM, signal.SIGKILL))
            before = cluster.stack.processes[label]
            cluster.log(f"{number.name} to {label}")
            before.signal(number, group=True)
            cluster.send_payment(f"restart-{round_number}-after")
            until(lambda: cluster.stack.processes[label] is not before, 40, f"a new {label}")  # noqa: B023
        cluster.wait_settled(60 + RESTARTS)
        # Then there is one device and one login, and every job was done once
        cluster.check_promises()
