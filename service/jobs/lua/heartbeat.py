"""Renew leases and do what is due (heartbeat.lua)."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class HeartbeatReply(NamedTuple):
    """What one heartbeat did.

    Parameters:
      lost: Ids of the claims that are no longer this process'.
      done: How many due entries were done.
      next_ms: In how many ms the next entry is due; None for none.
    """

    lost: set[str]
    done: int
    next_ms: int | None


def heartbeat(limit: int, *claims: tuple[str, str, int]) -> ScriptCall[HeartbeatReply]:
    """Renew the leases of this process, and do what is due for any process.

    Parameters:
      limit: The most entries of each index to do in this call.
      claims: Id, owner and fence of each.
    """
    flat = [part for claim in claims for part in claim]
    return ScriptCall("heartbeat", (limit, *flat), _reply)


def _reply(reply: list[Any]) -> HeartbeatReply:
    lost, done, next_ms = reply
    ids = {work_id.decode() for work_id in lost}
    return HeartbeatReply(ids, int(done), int(next_ms) if next_ms else None)
