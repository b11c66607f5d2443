from __future__ import annotations

from service.jobs.lua.call import ScriptCall


def replace_rows(job_id: str, before: bytes, after: bytes, pk: str, pk_key: str) -> ScriptCall[int]:
    """Replace a batch of rows (replace_rows.lua); returns how many batches were."""
    return ScriptCall("replace_rows", (job_id, before, after, pk, pk_key), int)
