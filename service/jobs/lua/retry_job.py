from __future__ import annotations

from service.jobs.lua.call import ScriptCall, word
from service.jobs.replies import RetryReply


def retry_job(job_id: str, by: str, address: str = "") -> ScriptCall[RetryReply]:
    """Open the next run of a failed or uncertain job (retry_job.lua)."""
    return ScriptCall("retry_job", (job_id, by, address), word)
