from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

CancelReply = Literal["ok", "asked", "late", "newer", "none"]


def cancel_job(job_id: str, by: str, address: str = "") -> ScriptCall[CancelReply]:
    """Cancel a job that has written nothing (cancel_job.lua)."""
    return ScriptCall("cancel_job", (job_id, by, address), word)
