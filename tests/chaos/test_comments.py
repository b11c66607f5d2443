"""Comments with one text, which only their ids tell apart: none is lost, none is doubled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from deploy.local.waiting import until
from tests.chaos.arena import Arena, renewed_event
from tests.chaos.storm import Storm
from tests.chaos.traps import set_trap
from tests.support.store import given_store

SEED = int(os.environ.get("CHAOS_SEED", "7"))
MANY = 20


@pytest.fixture
def empty_store() -> Iterator[str | None]:
    """A database of the given Redis, if one is given, that is left as empty as it is found."""
    url = given_store(offset=14)
    if url is None:
        yield None
        return
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.mark.parametrize("step", ["after intent", "after the write", "before finish"])
def test_a_kill_among_equal_comments_loses_none_and_doubles_none(arena: Arena, step: str) -> None:
    handle = f"k{os.urandom(4).hex()}"
    renewed: dict[str, str] = {}
    for number in range(3):
        # Given a worker that dies in the midst of the second
        trap = set_trap(arena.traps, step) if number == 1 else None
        answer = arena.deliver(renewed_event(f"{handle}-{number}", handle))
        renewed |= dict.fromkeys(answer["jobs"], f"Welcome back, @{handle}!")
        if trap is not None:
            until(partial(_sprung, trap), 30, f"the death {step}")
    # Then each has a comment of its own
    arena.settled(list(renewed), 60)
    assert arena.promises_broken({}, renewed) == []


def test_as_many_equal_comments_come_out_of_a_storm_as_went_into_it(
    tmp_path: Path, empty_store: str | None
) -> None:
    renewed: dict[str, str] = {}
    with Arena(tmp_path / "stack", empty_store).open() as arena:
        storm = Storm(arena, SEED, store=empty_store is None)
        storm.begin()
        try:
            for number in range(MANY):
                answer = arena.deliver(renewed_event(f"equal-{number}", "equal"))
                renewed |= dict.fromkeys(answer["jobs"], "Welcome back, @equal!")
            until(lambda: len(storm.strikes) >= MANY, 60, "the storm's strikes")
        finally:
            storm.end()
        arena.settled(list(renewed), 150)
        assert len(renewed) == MANY
        assert arena.promises_broken({}, renewed) == [], f"seed {SEED}: {storm.strikes}"


def _sprung(trap: Path) -> bool:
    return not trap.exists()
