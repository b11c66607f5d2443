from __future__ import annotations

from typing import Final

from service.jobs.lua.call import ScriptCall

#: The most jobs that one step creates for an event: the store serves nobody else meanwhile. The
#: dearest, which are rejected at creation and have a callback, take a tenth of a millisecond each.
JOBS_AT_ONCE: Final = 25


def create_deferred_jobs(event: str, limit: int) -> ScriptCall[int]:
    """Create the next jobs of an event, named source:id (create_deferred_jobs.lua).

    Returns:
      How many are left.
    """
    return ScriptCall("create_deferred_jobs", (event, limit), int)
