from __future__ import annotations

from collections.abc import Sequence

from service.jobs.lua.call import ScriptCall


def probe_store(*commands: str) -> ScriptCall[Sequence[tuple[str, ...]]]:
    """Try what accepting an event needs, and these commands' rights (probe_store.lua)."""
    return ScriptCall("probe_store", commands, _problems)


def _problems(reply: list[list[bytes]]) -> Sequence[tuple[str, ...]]:
    return [tuple(part.decode() for part in problem) for problem in reply]
