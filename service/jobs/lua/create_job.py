from __future__ import annotations

from service.jobs.lua.call import ScriptCall
from service.jobs.replies import Creation


def create_job(
    entry: str, idempotency_key: str, request_hash: str, keep: int, photo: bytes
) -> ScriptCall[Creation]:
    """Create a job that a caller asked for (create_job.lua)."""
    return ScriptCall("create_job", (entry, idempotency_key, request_hash, keep, photo), _creation)


def _creation(reply: list[bytes]) -> Creation:
    outcome, job_id = map(bytes.decode, reply)
    return Creation(outcome, job_id)  # type: ignore[arg-type]
