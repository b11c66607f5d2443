"""A short storm: a minute's worth of what production sees in a year."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.cluster import SEED, Cluster
from tests.chaos.random_faults import random_faults

EVENTS = int(os.environ.get("CHAOS_EVENTS", "40"))


# What is late is told by the arena, with the seed, before pytest would cut it off.
@pytest.mark.timeout(1200 + 3 * EVENTS)
def test_a_storm_loses_nothing_and_doubles_nothing(tmp_path: Path, empty_store: str | None) -> None:
    # Given every process, and the store where it is ours
    with Cluster(tmp_path / "stack", empty_store).open() as cluster:
        # When paid events come in while all of them are struck at random
        # Then each made one DM and one callback, from one device, one call at a time
        random_faults(cluster, SEED, EVENTS, store=empty_store is None)
