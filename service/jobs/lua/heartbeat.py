from __future__ import annotations

from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class HeartbeatReply(NamedTuple):
    """Ids of the lost claims, how many due entries were done, and when the next is due.

    `next_ms` is counted from now; None if no entry has a due time.
    """

    lost: set[str]
    done: int
    next_ms: int | None


def heartbeat(limit: int, *claims: tuple[str, str, int]) -> ScriptCall[HeartbeatReply]:
    """Renew the leases of this process, and do what is due for any process (heartbeat.lua)."""
    flat = (part for claim in claims for part in claim)
    return ScriptCall("heartbeat", (limit, *flat), _reply)


def _reply(reply: list[Any]) -> HeartbeatReply:
    lost, done, next_ms = reply
    return HeartbeatReply(set(map(bytes.decode, lost)), done, int(next_ms) if next_ms else None)
