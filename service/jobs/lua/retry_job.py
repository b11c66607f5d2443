"""Open the next run of a job (retry_job.lua)."""

from __future__ import annotations

from service.jobs.lua.call import ScriptCall, word
from service.jobs.replies import RetryReply


def retry_job(job_id: str, by: str) -> ScriptCall[RetryReply]:
    """Open the next run of a failed or uncertain job.

    Parameters:
      job_id: The job.
      by: Who asks.

    Returns:
      A call that replies `ok`; `refused` (neither failed nor uncertain); `empty` (rejected at
      creation); `gone` (its text or rows are no longer kept); `photo_gone`; `none` (not known).
    """
    return ScriptCall("retry_job", (job_id, by), word)
