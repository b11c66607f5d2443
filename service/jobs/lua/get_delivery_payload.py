from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def get_delivery_payload(job_id: str | bytes, job_run: str | bytes) -> ScriptCall[bytes | None]:
    """Build what a delivery said (get_delivery_payload.lua); None if it cannot be built."""
    return ScriptCall("get_delivery_payload", (job_id, job_run), lambda payload: payload)
