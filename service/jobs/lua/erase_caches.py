from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def erase_caches(facts: str) -> ScriptCall[int]:
    """Erase what is kept about a person outside of jobs (erase_caches.lua); returns how much."""
    return ScriptCall("erase_caches", (facts,), int)
