from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class FindReply(NamedTuple):
    """Jobs that one call has found, as find_jobs.lua documents it.

    Parameters:
      next: The cursor of those that follow; None at the end.
      ids: The jobs, newest first.
    """

    next: int | None
    ids: list[str]


def find_jobs(query: bytes, cursor: int | None, limit: int, effort: int) -> ScriptCall[FindReply]:
    """Find jobs (find_jobs.lua)."""
    at = "" if cursor is None else str(cursor)
    return ScriptCall("find_jobs", (query, at, limit, effort), _reply)


def _reply(reply: list[Any]) -> FindReply:
    cursor, *ids = reply
    return FindReply(int(cursor) if cursor else None, [job_id.decode() for job_id in ids])
