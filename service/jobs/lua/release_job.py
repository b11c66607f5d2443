from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

ReleaseReply = Literal["ok", "lost", "ended"]
Charge = Literal["counts", "refused", "resend", "looked", "failed", "free"]


def release_job(  # noqa: PLR0913, PLR0917 - as the script has them
    job_id: str,
    owner: str,
    fence: int,
    to: str,
    reason: str,
    delay: int,
    charge: Charge,
    effect: str,
    reads: int,
    sent: Literal["sent", "unsent"],
    seen: str,
) -> ScriptCall[ReleaseReply]:
    """Give a claimed job back unfinished (release_job.lua)."""
    args = (job_id, owner, fence, to, reason, delay, charge, effect, reads, sent, seen)
    return ScriptCall("release_job", args, word)
