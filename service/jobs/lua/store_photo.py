from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word


def store_photo(
    job_id: str,
    owner: str,
    fence: int,
    jpeg: bytes,
    facts: str,
    sha256: str,
    encrypted: Literal["1", ""],
) -> ScriptCall[Literal["ok", "lost"]]:
    """Store the photo that a worker has fetched for a job, until the job ends (store_photo.lua)."""
    args = (job_id, owner, fence, jpeg, facts, sha256, encrypted)
    return ScriptCall("store_photo", args, word)
