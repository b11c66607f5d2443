"""Drop records that have been kept long enough (prune.lua)."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class PruneReply(NamedTuple):
    """What one call did.

    Parameters:
      looked: How many entries it looked at; there may be more when it is the limit.
      dropped: How many records it dropped.
    """

    looked: int
    dropped: int


def prune(limit: int) -> ScriptCall[PruneReply]:
    """Drop records whose time is over.

    Parameters:
      limit: The most entries to look at; a job and its deliveries are one.
    """
    return ScriptCall("prune", (limit,), _reply)


def _reply(reply: list[Any]) -> PruneReply:
    return PruneReply(*map(int, reply))
