"""`kill -9` at each named step: what was acknowledged is done, and done once."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from deploy.local.waiting import until
from tests.chaos.arena import Arena, paid_event
from tests.chaos.traps import WEB_STEPS, WORKER_STEPS, set_trap

#: How often each step is tried (`make chaos` sets more).
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))


@pytest.mark.parametrize("step", [*WEB_STEPS, *WORKER_STEPS])
def test_a_kill_at_this_step_loses_nothing_and_doubles_nothing(arena: Arena, step: str) -> None:
    for _ in range(ROUNDS):
        name = f"{step.replace(' ', '-')}-{os.urandom(4).hex()}"
        # Given a process that dies when it comes to this step
        trap = set_trap(arena.traps, step)
        # When a paid event goes its way
        answer = arena.deliver(paid_event(name))
        until(partial(_sprung, trap), 30, f"the death {step}")
        # Then it makes one DM and one callback
        arena.settled(answer["jobs"], 40)
        assert arena.promises_broken({answer["event_id"]: name}) == []


@pytest.mark.parametrize("step", ["after claim", "after intent", "before finish"])
def test_a_worker_frozen_at_this_step_does_nothing_its_successor_did(
    arena: Arena, step: str
) -> None:
    name = f"frozen-{step.replace(' ', '-')}-{os.urandom(4).hex()}"
    # Given a worker that freezes there for longer than its lease
    trap = set_trap(arena.traps, step, signal.SIGSTOP)
    answer = arena.deliver(paid_event(name))
    until(partial(_sprung, trap), 30, f"the frost {step}")
    # When another has ended the job, and the frozen one goes on
    arena.settled(answer["jobs"], 40)
    for process in arena.stack.processes.values():
        process.signal(signal.SIGCONT, group=True)
    # Then nothing is done twice, by any of them: the next jobs go through both
    for number in range(6):
        later = arena.deliver(paid_event(f"{name}-{number}"))
        arena.settled(later["jobs"], 40)
    assert arena.promises_broken({answer["event_id"]: name}) == []


def _sprung(trap: Path) -> bool:
    return not trap.exists()
