from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def plan_operation(operation_id: str, keep: int, fields: str, *items: str) -> ScriptCall[int]:
    """Keep the plan of an operation for `keep` ms (plan_operation.lua).

    Returns:
      When it expires, Unix milliseconds.
    """
    return ScriptCall("plan_operation", (operation_id, keep, fields, *items), int)
