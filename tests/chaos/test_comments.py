"""Comments with one text, which only their ids tell apart: none is lost, none is doubled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.local.wait import until
from tests.chaos.cluster import SEED, Cluster
from tests.chaos.random_faults import RandomFaults

MANY = 20


@pytest.mark.parametrize("step", ["after intent", "after the write", "before finish"])
def test_a_kill_among_equal_comments_loses_none_and_doubles_none(
    cluster: Cluster, step: str
) -> None:
    handle = f"k{os.urandom(4).hex()}"
    for number in range(3):
        # Given a worker that dies in the midst of the second
        trap = cluster.arm_failpoint(step) if number == 1 else None
        cluster.send_renewal(f"{handle}-{number}", handle)
        if trap is not None:
            cluster.wait_triggered(trap)
    # Then each has a comment of its own
    cluster.wait_settled(60)
    cluster.check_promises()


@pytest.mark.timeout(1200)
def test_as_many_equal_comments_come_out_of_a_storm_as_went_into_it(
    tmp_path: Path, empty_store: str | None
) -> None:
    with Cluster(tmp_path / "stack", empty_store).open() as cluster:
        storm = RandomFaults(cluster, SEED, store=empty_store is None)
        storm.begin()
        try:
            for number in range(MANY):
                cluster.send_renewal(f"equal-{number}", "equal")
            until(lambda: storm.injected >= MANY, 90, "the storm's strikes")
        finally:
            storm.end()
        cluster.wait_settled(150)
        assert len(cluster.expected.comments) == MANY
        cluster.check_promises()
