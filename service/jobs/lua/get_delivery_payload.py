"""Build what a delivery said (get_delivery_payload.lua)."""

from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def get_delivery_payload(job_id: str | bytes, job_run: str | bytes) -> ScriptCall[bytes | None]:
    """Build the payload of a delivery that no longer has it.

    Parameters:
      job_id: Its job.
      job_run: Its run of the job.

    Returns:
      A call that replies the bytes that were sent; None where the job is gone or has begun another
      run.
    """
    return ScriptCall("get_delivery_payload", (job_id, job_run), _payload)


def _payload(reply: bytes | None) -> bytes | None:
    return reply
