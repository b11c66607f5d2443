"""End a claimed job (finish_job.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

FinishReply = Literal["ok", "lost", "taken"]


def finish_job(  # noqa: PLR0913, PLR0917 - as the script has them
    job_id: str,
    owner: str,
    fence: int,
    status: str,
    result: str,
    failure: str,
    why: str,
    written: str,
    reads: int,
) -> ScriptCall[FinishReply]:
    """End a job and record its delivery in the same step.

    Parameters:
      job_id: The job.
      owner: As it was claimed.
      fence: As it was claimed.
      status: A final one.
      result: What it left behind (JSON); '' for nothing.
      failure: Why it failed (JSON); '' where it did not.
      why: A word for its timeline.
      written: What its write is known by at Instagram; '' where nothing else could be taken for
        it.
      reads: Calls that served the job since its last step.

    Returns:
      A call that replies `ok`; `lost` when the claim no longer held; `taken` when `written`
      belongs to another job. Only `ok` changed anything.
    """
    args = (job_id, owner, fence, status, result, failure, why, written, reads)
    return ScriptCall("finish_job", args, word)
