from __future__ import annotations

from typing import NamedTuple

from service.jobs.lua.call import ScriptCall


class AddedJobs(NamedTuple):
    """What a replay did to the jobs of an event.

    Parameters:
      jobs: The ids of all its jobs.
      created: Those that are new.
      replaced: Those that had been rejected at creation, and are filled in now.
    """

    jobs: list[str]
    created: list[str]
    replaced: list[str]


def add_event_jobs(
    event: str,
    entries: str,
    notes: str,
    by: str,
    address: str,
    is_next: int,
    reference: str,
    new_names: str,
) -> ScriptCall[AddedJobs | None]:
    """Add jobs to a known event (add_event_jobs.lua); None if it is not stored any more."""
    args = (event, entries, notes, by, address, is_next, reference, new_names)
    return ScriptCall("add_event_jobs", args, _added)


def _added(reply: list[list[bytes]] | None) -> AddedJobs | None:
    return None if reply is None else AddedJobs(*(list(map(bytes.decode, ids)) for ids in reply))
