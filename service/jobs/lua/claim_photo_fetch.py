from __future__ import annotations

from service.jobs.lua.call import ScriptCall
from service.jobs.lua.claim_job import ClaimedJob, parse_claim


def claim_photo_fetch(job_id: str, owner: str) -> ScriptCall[ClaimedJob | None]:
    """Claim a job to fetch its photo (claim_photo_fetch.lua); None if it is not to be fetched."""
    return ScriptCall("claim_photo_fetch", (job_id, owner), parse_claim)
