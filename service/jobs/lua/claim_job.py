from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from service.jobs.lua.call import ScriptCall, hash_of
from service.jobs.lua.hash_encoding import fields_of


class ClaimedJob(NamedTuple):
    """A claimed job; claim_job.lua documents the fields, and `fields` has the blank ones, too."""

    verdict: Literal["run", "lookup"]
    fence: int
    text: str
    fields: Mapping[str, str]
    now_ms: int


def claim_job(job_id: str, owner: str) -> ScriptCall[ClaimedJob | None]:
    """Claim a job and its account's turn (claim_job.lua); None if there is nothing to do now."""
    return ScriptCall("claim_job", (job_id, owner), parse_claim)


def parse_claim(reply: list[Any]) -> ClaimedJob | None:
    """Read the reply of claim_job.lua, which other claims of jobs have, too."""
    verdict, fence, text, flat, now = reply
    if verdict == b"none":
        return None
    return ClaimedJob(verdict.decode(), fence, text.decode(), fields_of(hash_of(flat)), now)
