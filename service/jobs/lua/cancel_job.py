"""Cancel a job (cancel_job.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

CancelReply = Literal["ok", "asked", "late", "none"]


def cancel_job(job_id: str, by: str) -> ScriptCall[CancelReply]:
    """Cancel a job that has written nothing.

    Parameters:
      job_id: The job.
      by: Who asks.

    Returns:
      A call that replies `ok`; `asked` (it runs, and stops before its write); `late` (its write
      may have happened, or it has ended); `none` (it is not known).
    """
    return ScriptCall("cancel_job", (job_id, by), word)
