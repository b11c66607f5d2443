"""Claim a job and its account's turn (claim_job.lua)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from service.jobs.lua.call import ScriptCall
from service.jobs.lua.hash_encoding import fields_of


class ClaimedJob(NamedTuple):
    """A job that was claimed.

    Parameters:
      verdict: `run`, or `lookup` where a write may have happened: that is verified first.
      fence: Number of this claim: an older one can change nothing any more.
      text: Its text.
      fields: The record, blank fields included.
      now_ms: When it was claimed, by Redis' clock.
    """

    verdict: Literal["run", "lookup"]
    fence: int
    text: str
    fields: Mapping[str, str]
    now_ms: int


def claim_job(job_id: str, owner: str) -> ScriptCall[ClaimedJob | None]:
    """Claim a job.

    Parameters:
      job_id: The job.
      owner: Unique to this claim.

    Returns:
      A call that replies the claim; None when there is nothing to do now: whatever must happen is
      arranged.
    """
    return ScriptCall("claim_job", (job_id, owner), _claimed)


def _claimed(reply: list[Any]) -> ClaimedJob | None:
    verdict, fence, text, flat, now = reply
    if verdict == b"none":
        return None
    fields = fields_of(dict(zip(flat[::2], flat[1::2], strict=True)))
    return ClaimedJob(verdict.decode(), int(fence), text.decode(), fields, int(now))
