"""Random faults for a minute: what production sees in a year."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.cluster import SEED, Cluster
from tests.chaos.random_faults import random_faults

EVENTS = int(os.environ.get("CHAOS_EVENTS", "40"))


# The cluster reports a late job, with the seed, before pytest's timeout ends the test.
@pytest.mark.timeout(1200 + 3 * EVENTS)
def test_random_faults_lose_nothing_and_double_nothing(
    tmp_path: Path, empty_store: str | None
) -> None:
    # Given every process, and the store where it is ours
    with Cluster(tmp_path / "stack", empty_store).open() as cluster:
        # When paid events come in while random faults hit all of them
        # Then each made one DM and one callback, from one device, one call at a time
        random_faults(cluster, SEED, EVENTS, store=empty_store is None)
