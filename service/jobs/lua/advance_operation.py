from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def advance_operation(operation_id: str, limit: int) -> ScriptCall[int]:
    """Do the next jobs of an operation (advance_operation.lua).

    Returns:
      How many jobs are left.
    """
    return ScriptCall("advance_operation", (operation_id, limit), int)
