from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from service.jobs.lua.call import ScriptCall, hash_of


class LookupReply(NamedTuple):
    """What is known of a target, as `lookup_state` of lib/lookup_cache.lua documents it."""

    found: Mapping[bytes, bytes]
    job_id: str
    blocked_by: str
    until_ms: int
    since_ms: int
    ask_again_ms: int
    now_ms: int


def get_lookup(target: str, patience: int) -> ScriptCall[LookupReply]:
    """Read what is known of a target (get_lookup.lua); GroupCommit runs many of these at once."""
    return ScriptCall("get_lookup", (target, str(patience)), lookup_reply)


def lookup_reply(reply: list[Any]) -> LookupReply:
    """Parse what `lookup_state` replies."""
    flat, job_id, blocked_by, *numbers = reply
    return LookupReply(hash_of(flat), job_id.decode(), blocked_by.decode(), *map(int, numbers))
