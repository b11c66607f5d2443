from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def index_events(*events: str) -> ScriptCall[int]:
    """List events (source:id) in all indexes (index_events.lua); returns how many were not."""
    return ScriptCall("index_events", events, int)
