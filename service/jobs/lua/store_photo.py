"""Store the photo that a worker has fetched for a job (store_photo.lua)."""

from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word


def store_photo(
    job_id: str, owner: str, fence: int, jpeg: bytes, facts: str, sha256: str
) -> ScriptCall[Literal["ok", "lost"]]:
    """Store a photo until its job ends.

    Parameters:
      job_id: The job.
      owner: As it was claimed.
      fence: As it was claimed.
      jpeg: The photo.
      facts: What the API shows of it (JSON).
      sha256: Hash of the file.

    Returns:
      A call that replies `ok`, or `lost` when the claim no longer held: then nothing was changed.
    """
    return ScriptCall("store_photo", (job_id, owner, fence, jpeg, facts, sha256), word)
