from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from service.jobs.lua.call import ScriptCall
from service.jobs.replies import Acceptance


class AcceptReply(NamedTuple):
    """What became of an event, and what is left to do for it.

    Parameters:
      acceptance: For the caller; None if the event is known in another shape, whose jobs must all
        be created before this one can be accepted.
      event_id: The id under which the event is stored.
      deferred: How many of its jobs are still to be created.
    """

    acceptance: Acceptance | None
    event_id: str
    deferred: int


def accept_events(envelope: str | bytes, body: bytes) -> ScriptCall[AcceptReply]:
    """Accept an event (accept_events.lua); GroupCommit runs many of these calls at once."""
    return ScriptCall("accept_events", (envelope, body), _reply)


def _reply(reply: list[Any]) -> AcceptReply:
    outcome, event_id = reply[0].decode(), reply[1].decode()
    if outcome == "unfinished":
        return AcceptReply(None, event_id, reply[3])
    return AcceptReply(Acceptance(outcome, event_id, orjson.loads(reply[2])), event_id, reply[3])
