from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class FoundEvent(NamedTuple):
    """One event: its key without `hg:event:`, its place in the order of everything, its type."""

    member: str
    seq: int
    type: str


class EventSlice(NamedTuple):
    """What one call has found.

    Parameters:
      next: The cursor of what follows; None at the end.
      events: Newest first.
    """

    next: int | None
    events: list[FoundEvent]


def find_events(
    query: bytes, cursor: int | None, limit: int, effort: int
) -> ScriptCall[EventSlice]:
    """Find events (find_events.lua)."""
    at = "" if cursor is None else str(cursor)
    return ScriptCall("find_events", (query, at, limit, effort), _slice)


def _slice(reply: list[Any]) -> EventSlice:
    following, flat = reply
    rows = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    events = [FoundEvent(member.decode(), int(seq), kind.decode()) for member, seq, kind in rows]
    return EventSlice(int(following) if following else None, events)
