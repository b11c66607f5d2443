from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall


def control_account(
    account: str,
    action: Literal["pause", "resume", "end_hold", "release"],
    note: str,
    limit: int,
    by: str,
    kind: str,
    address: str = "",
) -> ScriptCall[int]:
    """Pause or resume an account, or release its held jobs (control_account.lua)."""
    return ScriptCall("control_account", (account, action, note, limit, by, kind, address), int)
