from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def index_persons(*jobs: tuple[str, str]) -> ScriptCall[int]:
    """List jobs, each with the keys of its persons (index_persons.lua); returns how many."""
    return ScriptCall("index_persons", tuple(part for job in jobs for part in job), int)
