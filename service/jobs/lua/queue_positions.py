from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class PositionReply(NamedTuple):
    """Where a job is in its account's queue, as queue_positions.lua documents it."""

    reason: str
    until_ms: int
    place: int
    export_ends_ms: int


def queue_positions(
    *jobs: tuple[str, str, str, str],
) -> ScriptCall[list[PositionReply | None]]:
    """Tell what jobs wait for (queue_positions.lua); None for a job that is not in the queue."""
    return ScriptCall("queue_positions", tuple(part for job in jobs for part in job), _positions)


def _positions(reply: list[list[Any]]) -> list[PositionReply | None]:
    return [PositionReply(row[0].decode(), *map(int, row[1:])) if row else None for row in reply]
