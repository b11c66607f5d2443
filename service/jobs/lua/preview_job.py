"""Tell what would become of a job (preview_job.lua)."""

from __future__ import annotations

from typing import Any

from service.jobs.lua.call import ScriptCall
from service.jobs.replies import Preview


def preview_job(entry: str, pk: str) -> ScriptCall[Preview]:
    """Tell what would become of a job now, without creating it.

    Parameters:
      entry: The job (JSON, see draft_encoding.py).
      pk: The recipient's user id; '' for unknown.
    """
    return ScriptCall("preview_job", (entry, pk), _preview)


def _preview(reply: list[Any]) -> Preview:
    decision, reason, earliest, person = reply
    return Preview(decision.decode(), reason.decode() or None, int(earliest), bool(person))
