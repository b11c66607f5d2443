from __future__ import annotations

from typing import Any

from service.jobs.lua.call import ScriptCall
from service.jobs.replies import Preview


def preview_job(entry: str, pk: str, pk_keys: str) -> ScriptCall[Preview]:
    """Tell what would happen to a job now, without creating it (preview_job.lua)."""
    return ScriptCall("preview_job", (entry, pk, pk_keys), _preview)


def _preview(reply: list[Any]) -> Preview:
    decision, reason, earliest, person = reply
    return Preview(decision.decode(), reason.decode() or None, int(earliest), bool(person))
