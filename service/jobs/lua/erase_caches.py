from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def erase_caches(by: str, facts: str) -> ScriptCall[int]:
    """Erase what is kept about a person outside of jobs (erase_caches.lua); returns how much."""
    return ScriptCall("erase_caches", (by, facts), int)
