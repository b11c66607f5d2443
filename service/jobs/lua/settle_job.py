from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

SettleReply = Literal["ok", "refused", "erased", "newer", "none"]


def settle_job(job_id: str, to: str, by: str, address: str, note: str) -> ScriptCall[SettleReply]:
    """End an uncertain job in the way that a person says its write went (settle_job.lua).

    Parameters:
      to: succeeded or failed.
      note: Their words as JSON, or null.
    """
    return ScriptCall("settle_job", (job_id, to, by, address, note), word)
