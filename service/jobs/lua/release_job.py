"""Give a claimed job back unfinished (release_job.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

ReleaseReply = Literal["ok", "lost", "ended"]
Charge = Literal["counts", "failed", "free"]


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
) -> ScriptCall[ReleaseReply]:
    """Give a job back.

    Parameters:
      job_id: The job.
      owner: As it was claimed.
      fence: As it was claimed.
      to: `queued`, `waiting`, `held` or `sending`. Out of `sending` only when the write is known
        not to have happened; to `sending` when that is not known.
      reason: A word for its wait and its timeline.
      delay: From now until it is tried again, in ms; for `held` 0 is never.
      charge: `counts`: it was an attempt, or (to `sending`) a verification lookup that found
        nothing; `failed`: a verification lookup that failed; `free`: it was not the job's doing.
      effect: What it means for the account (JSON, `AccountEffect.as_json`).
      reads: Calls that served the job since its last step.
      sent: `unsent` when its write certainly never left: its budget is refunded.

    Returns:
      A call that replies `ok`; `lost` when the claim no longer held; `ended` when the job was
      canceled or expired meanwhile.
    """
    args = (job_id, owner, fence, to, reason, delay, charge, effect, reads, sent)
    return ScriptCall("release_job", args, word)
