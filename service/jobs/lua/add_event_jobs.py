"""Add jobs to a known event (add_event_jobs.lua)."""

from __future__ import annotations

import json

from service.jobs.lua.call import ScriptCall


def add_event_jobs(event: str, entries: str, notes: str) -> ScriptCall[list[str] | None]:
    """Add the jobs of rules that had made none for this event.

    Parameters:
      event: `source:id`.
      entries: The new jobs, a JSON list of entries (draft_encoding.py).
      notes: What each rule made of the event (JSON).

    Returns:
      A call that replies all job ids of the event; None when it is no longer kept.
    """
    return ScriptCall("add_event_jobs", (event, entries, notes), _job_ids)


def _job_ids(reply: bytes | None) -> list[str] | None:
    return None if reply is None else list(json.loads(reply))
