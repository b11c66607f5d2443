from __future__ import annotations

import json

from service.jobs.lua.call import ScriptCall


def add_event_jobs(
    event: str, entries: str, notes: str, by: str, address: str, reference: str, new_names: str
) -> ScriptCall[list[str] | None]:
    """Add jobs to a known event (add_event_jobs.lua); None if it is not stored any more."""
    arguments = (event, entries, notes, by, address, reference, new_names)
    return ScriptCall("add_event_jobs", arguments, _job_ids)


def _job_ids(reply: bytes | None) -> list[str] | None:
    return None if reply is None else list(json.loads(reply))
