from __future__ import annotations

from typing import Literal

from service.jobs.lua.call import ScriptCall, word

StoreReportReply = Literal["ok", "canceled", "lost"]


def store_report(
    job_id: str, owner: str, fence: int, file: bytes, result: str
) -> ScriptCall[StoreReportReply]:
    """Store the file of a report and end its job (store_report.lua)."""
    return ScriptCall("store_report", (job_id, owner, fence, file, result), word)
