"""Pause or resume all accounts at once (control_all_accounts.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall


def control_all_accounts(
    action: Literal["pause", "resume"], note: str, by: str
) -> ScriptCall[bool]:
    """Pause or resume all accounts; their own holds stay.

    Parameters:
      action: What to do.
      note: Why, for people.
      by: Who asks.

    Returns:
      A call that replies whether all accounts were paused before.
    """
    return ScriptCall("control_all_accounts", (action, note, by), bool)
