from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class HeartbeatReply(NamedTuple):
    """What a heartbeat found.

    Parameters:
      lost: Ids of the lost claims.
      done: How many due entries were done.
      next_ms: When the next is due, from now; None if no entry has a due time.
      abandoned_event: An event (source:id) some of whose jobs are still to be created; None mostly.
    """

    lost: set[str]
    done: int
    next_ms: int | None
    abandoned_event: str | None = None


def heartbeat(limit: int, *claims: tuple[str, str, int]) -> ScriptCall[HeartbeatReply]:
    """Renew the leases of this process, and do what is due for any process (heartbeat.lua)."""
    flat = (part for claim in claims for part in claim)
    return ScriptCall("heartbeat", (limit, *flat), _reply)


def _reply(reply: list[Any]) -> HeartbeatReply:
    lost, done, next_ms, event = reply
    return HeartbeatReply(
        set(map(bytes.decode, lost)),
        done,
        int(next_ms) if next_ms else None,
        event.decode() or None,
    )
