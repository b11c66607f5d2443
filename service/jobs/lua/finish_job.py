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
    looked: str,
    looked_in: str,
) -> ScriptCall[FinishReply]:
    """End a claimed job (finish_job.lua)."""
    ended = (status, result, failure, why, written, reads, who, looked, looked_in)
    return ScriptCall("finish_job", (job_id, owner, fence, *ended), word)
