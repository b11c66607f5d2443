"""A short storm: a minute's worth of what production sees in a year."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.arena import Arena
from tests.chaos.storm import weather
from tests.support.store import given_store

SEED = int(os.environ.get("CHAOS_SEED", "7"))
EVENTS = int(os.environ.get("CHAOS_EVENTS", "40"))


def test_a_storm_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    # Given every process, and the store where it is ours
    url = given_store(offset=14)
    with Arena(tmp_path / "stack", url).open() as arena:
        # When paid events come in while all of them are struck down at random
        broken, storm = weather(arena, SEED, EVENTS, store=url is None)
        # Then each made one DM and one callback, from one device, one call at a time
        assert broken == [], f"seed {SEED}: {storm.strikes}"
