from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

StartReply = Literal["started", "repeated", "other", "none"]


def start_operation(
    operation_id: str, caller: str, request: str, by: str, address: str, reason: str
) -> ScriptCall[StartReply]:
    """Begin a planned operation (start_operation.lua)."""
    return ScriptCall("start_operation", (operation_id, caller, request, by, address, reason), word)
