from __future__ import annotations

from typing import Literal, NamedTuple

from service.jobs.lua.call import ScriptCall


class IndexReply(NamedTuple):
    """How many jobs were looked at, and how many entries were missing."""

    looked: int
    missing: int


def index_jobs(which: Literal["new", "again"], limit: int) -> ScriptCall[IndexReply]:
    """List jobs in the indexes that an earlier release does not write (index_jobs.lua)."""
    return ScriptCall("index_jobs", (which, limit), lambda reply: IndexReply(*reply))
