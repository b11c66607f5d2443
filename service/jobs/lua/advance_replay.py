from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.jobs.lua.call import Argument, ScriptCall


class ReplayProgress(NamedTuple):
    """How far an operation has come.

    Parameters:
      left: How many events are left; 0 if it has ended.
      done: How many are done.
    """

    left: int
    done: int


class ReplayedEvent(NamedTuple):
    """What is to be made of one event; the arguments of advance_replay.lua."""

    event: str
    entries: str
    notes: str
    otherwise: str
    is_problem: int
    is_last: int
    reference: str
    new_names: str


def advance_replay(
    operation_id: str, done: int, *events: Sequence[Argument]
) -> ScriptCall[ReplayProgress]:
    """Replay the next events of an operation (advance_replay.lua), each a `ReplayedEvent`."""
    flat = (part for event in events for part in event)
    return ScriptCall("advance_replay", (operation_id, done, *flat), _progress)


def _progress(reply: list[int]) -> ReplayProgress:
    return ReplayProgress(*map(int, reply))
