"""Open or close an account for a person (control_account.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall


def control_account(
    account: str,
    action: Literal["pause", "resume", "answer", "go_on"],
    note: str,
    limit: int,
    by: str,
    kind: str,
) -> ScriptCall[int]:
    """Pause or resume an account, and release jobs that nothing holds any more.

    Parameters:
      account: Its name.
      action: `answer` ends the hold if it is one of those in `note`; `go_on` only releases jobs.
      note: Why, for people (pause); reasons with a space before and after each (answer).
      limit: The most jobs to release in this call.
      by: Who asks.
      kind: Only this kind of action; '' for all.

    Returns:
      A call that replies how many jobs were released; there may be more when it is `limit`.
    """
    return ScriptCall("control_account", (account, action, note, limit, by, kind), int)
