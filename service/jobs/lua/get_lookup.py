"""Read what is known of a target (get_lookup.lua). GroupCommit runs many of these calls at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall


class LookupReply(NamedTuple):
    """What is known of a target.

    Parameters:
      found: What was found, as hg:found:{target} has it (lib/lookup_cache.lua).
      job_id: The job that looks it up now; '' for none.
      blocked_by: What keeps accounts from it; '' for nothing.
      until_ms: Until when (unix ms); 0 where a person is needed.
      since_ms: Since when a person is (unix ms); 0 where none is.
      ask_again_ms: In how many ms it is worth asking again; 0 for unknown.
      now_ms: By Redis' clock.
    """

    found: Mapping[bytes, bytes]
    job_id: str
    blocked_by: str
    until_ms: int
    since_ms: int
    ask_again_ms: int
    now_ms: int


def get_lookup(target: str, patience: int) -> ScriptCall[LookupReply]:
    """Read what is known of a target, and which job looks it up.

    Parameters:
      target: `user:{name}` or `post:{pk}`.
      patience: For how long who waits may be kept waiting, in ms.
    """
    return ScriptCall("get_lookup", (target, str(patience)), lookup_reply)


def lookup_reply(reply: list[Any]) -> LookupReply:
    """Parse what `lookup_state` of lib/lookup_cache.lua replies."""
    flat, job_id, blocked_by, *numbers = reply
    found = dict(zip(flat[::2], flat[1::2], strict=True))
    return LookupReply(found, job_id.decode(), blocked_by.decode(), *map(int, numbers))
