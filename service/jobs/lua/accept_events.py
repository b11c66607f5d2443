from __future__ import annotations

from typing import Any

import orjson

from service.jobs.lua.call import ScriptCall
from service.jobs.replies import Acceptance


def accept_events(envelope: str | bytes, body: bytes) -> ScriptCall[Acceptance]:
    """Accept an event (accept_events.lua); GroupCommit runs many of these calls at once."""
    return ScriptCall("accept_events", (envelope, body), _acceptance)


def _acceptance(reply: list[Any]) -> Acceptance:
    return Acceptance(reply[0].decode(), reply[1].decode(), orjson.loads(reply[2]))
