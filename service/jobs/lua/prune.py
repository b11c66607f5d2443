from __future__ import annotations

from typing import NamedTuple

from service.jobs.lua.call import ScriptCall


class PruneReply(NamedTuple):
    """How many entries were looked at, and how many records were dropped."""

    looked: int
    dropped: int


def prune(limit: int) -> ScriptCall[PruneReply]:
    """Drop records whose retention has ended (prune.lua)."""
    return ScriptCall("prune", (limit,), lambda counts: PruneReply(*counts))
