"""Comments with the same text, which only their ids tell apart: none is lost, none is doubled."""

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
        # Given a worker that dies while it writes the second
        failpoint = cluster.arm_failpoint(step) if number == 1 else None
        cluster.send_renewal(f"{handle}-{number}", handle)
        if failpoint is not None:
            cluster.wait_triggered(failpoint)
    # Then each job has its own comment
    cluster.wait_settled(60)
    cluster.check_promises()


@pytest.mark.timeout(1200)
def test_random_faults_neither_lose_nor_double_equal_comments(
    tmp_path: Path, empty_store: str | None
) -> None:
    with Cluster(tmp_path / "stack", empty_store).open() as cluster:
        faults = RandomFaults(cluster, SEED, store=empty_store is None)
        faults.begin()
        try:
            for number in range(MANY):
                cluster.send_renewal(f"equal-{number}", "equal")
            until(lambda: faults.injected >= MANY, 90, "the faults")
        finally:
            faults.end()
        cluster.wait_settled(150)
        assert len(cluster.expected.comments) == MANY
        cluster.check_promises()
