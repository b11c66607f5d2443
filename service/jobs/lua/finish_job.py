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
    who: str,
    seen: str,
) -> ScriptCall[FinishReply]:
    """End a claimed job (finish_job.lua)."""
    args = (job_id, owner, fence, status, result, failure, why, written, reads, who, seen)
    return ScriptCall("finish_job", args, word)
