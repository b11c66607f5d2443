"""Create a job that a caller asked for (create_job.lua)."""

from __future__ import annotations

from service.jobs.lua.call import ScriptCall
from service.jobs.replies import Creation


def create_job(
    entry: str, idempotency_key: str, request_hash: str, keep: int, photo: bytes
) -> ScriptCall[Creation]:
    """Create one job.

    Parameters:
      entry: The job (JSON, see draft_encoding.py).
      idempotency_key: Redis key of the caller's idempotency key; '' for none.
      request_hash: What two requests must share to be the same.
      keep: For how long to keep the key, in ms.
      photo: The JPEG that it sends; empty for none.
    """
    return ScriptCall("create_job", (entry, idempotency_key, request_hash, keep, photo), _creation)


def _creation(reply: list[bytes]) -> Creation:
    outcome, job_id = map(bytes.decode, reply)
    return Creation(outcome, job_id)  # type: ignore[arg-type]
