from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

StopReply = Literal["ok", "ended", "newer", "none"]


def cancel_operation(operation_id: str, by: str, address: str) -> ScriptCall[StopReply]:
    """Stop an operation (cancel_operation.lua)."""
    return ScriptCall("cancel_operation", (operation_id, by, address), word)
