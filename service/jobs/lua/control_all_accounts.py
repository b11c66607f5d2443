from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall


def control_all_accounts(
    action: Literal["pause", "resume"], note: str, by: str, address: str = ""
) -> ScriptCall[bool]:
    """Pause or resume all accounts (control_all_accounts.lua); whether they were paused before."""
    return ScriptCall("control_all_accounts", (action, note, by, address), bool)
