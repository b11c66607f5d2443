"""Tell what waiting jobs wait for (queue_positions.lua)."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class PositionReply(NamedTuple):
    """Where a job is in its account's queue.

    Parameters:
      reason: What it waits for.
      until_ms: Until when, an estimate (unix ms).
      place: Its place in its sub-queue, from 0.
      export_ends_ms: When a follower export may have ended, an estimate (unix ms); 0 for unknown.
    """

    reason: str
    until_ms: int
    place: int
    export_ends_ms: int


def queue_positions(
    *jobs: tuple[str, str, str, str],
) -> ScriptCall[list[PositionReply | None]]:
    """Tell what jobs wait for.

    Parameters:
      jobs: Id, account, sub-queue ('' for none) and kind of each.

    Returns:
      A call that replies one position for each job; None where it is not in the queue.
    """
    flat = [part for job in jobs for part in job]
    return ScriptCall("queue_positions", tuple(flat), _positions)


def _positions(reply: list[list[Any]]) -> list[PositionReply | None]:
    return [
        PositionReply(row[0].decode(), int(row[1]), int(row[2]), int(row[3])) if row else None
        for row in reply
    ]
