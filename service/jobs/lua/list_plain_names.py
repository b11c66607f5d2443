from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def list_plain_names(*ids: str) -> ScriptCall[list[list[str]]]:
    """List the keys by which jobs and events are found again (list_plain_names.lua).

    Parameters:
      ids: Of jobs; or events (source:id).

    Returns:
      The names of the keys of each.
    """
    return ScriptCall("list_plain_names", ids, _names)


def _names(reply: list[list[bytes]]) -> list[list[str]]:
    return [[name.decode() for name in names] for names in reply]
